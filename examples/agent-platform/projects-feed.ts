// The front desk of the project coordinator: opens the projects that customers have asked for, each once.
import type { Bus, Store } from 'treatyjs'
import { type AgentPlatform, derivedId } from 'treatyjs/packs/agent-platform'
import { derivedNumber } from './service.ts'

/** How many projects there are to do; the same ones at every start. */
const projectCount = 12

const subjects = [
  'Customer churn',
  'Energy demand',
  'Museum visitors',
  'Bicycle counts',
  'Library loans',
  'Harvest yields',
]
const kinds = ['study', 'forecast', 'review', 'report']
const requirements = [
  ['data_cleaning', 'trend_analysis', 'report_writing'],
  ['data_collection', 'visualization', 'report_writing'],
  ['data_cleaning', 'forecasting', 'summary_writing'],
]

const pick = <Item>(list: readonly Item[], ...parts: string[]): Item =>
  list[derivedNumber(list.length, ...parts)] as Item

/** What `treaty start` hands to a feed. */
interface Feed {
  readonly bus: Bus<AgentPlatform>
  readonly store: Store
  readonly signal: AbortSignal
  report(text: string): void
}

/** Publishes the projects that were not opened before. A crash between the two steps is caught by the id. */
export async function run({ bus, store, signal, report }: Feed): Promise<void> {
  const before = await bus.stats()
  let opened = 0
  for (let at = 0; at < projectCount && !signal.aborted; at += 1) {
    const id = derivedId('agent-platform', 'project', String(at))
    if (await store.records.get('projects-feed', id)) continue
    const subject = pick(subjects, id, 'subject')
    const kind = pick(kinds, id, 'kind')
    await bus.publish(
      'project.created',
      {
        project_id: id,
        name: `${subject} ${kind} ${at + 1}`,
        description: `A ${kind} about ${subject.toLowerCase()}`,
        requirements: pick(requirements, id, 'requirements'),
        created_by: `customer-${1 + derivedNumber(40, id, 'customer')}`,
      },
      { id: derivedId(id, 'created'), correlationId: id },
    )
    await store.records.put('projects-feed', id, { opened: true })
    opened += 1
  }
  const done = before.byEvent['project.completed']?.published ?? 0
  if (opened > 0) report(`${opened} projects opened`)
  else if (done >= projectCount) report(`${done} projects were complete; nothing to do`)
  else
    report(`${projectCount} projects were opened before, ${done} complete: going on with the rest`)
}
