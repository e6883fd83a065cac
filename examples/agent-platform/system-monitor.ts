// Keeps a ledger of its own: how often each event came, and the latest state of everything. A row changes in the
// transaction that acknowledges its message, so the ledger is right to the last message, whatever crashes.
import type { AgentPlatform } from 'treatyjs/packs/agent-platform'
import { type Handle, openState, runService } from './service.ts'

type Watched = AgentPlatform['consumers']['system-monitor']
type Facts = Readonly<Record<string, unknown>>

openState(`
  create table if not exists system_monitor_counts (event text primary key, count integer not null) strict;
  create table if not exists system_monitor_states (subject text primary key, state text not null, since text not null) strict`)

/** What an event is about, and how that stands now; undefined where it changes no state. */
function stateOf(type: string, data: Facts): readonly [subject: string, state: string] | undefined {
  const text = (name: string) => String(data[name])
  switch (type) {
    case 'agent.created':
      return [`agent ${text('agent_id')}`, text('state')]
    case 'agent.state_changed':
      return [`agent ${text('agent_id')}`, text('new_state')]
    case 'task.created':
      return [`task ${text('task_id')}`, 'pending']
    case 'task.status_changed':
      return [`task ${text('task_id')}`, text('new_status')]
    case 'project.completed':
      return [`project ${text('project_id')}`, text('status')]
    case 'workflow.completed':
      return [`workflow ${text('workflow_id')}`, text('status')]
    case 'system.service_health':
      return [`service ${text('service_id')}`, text('status')]
    default:
      return undefined
  }
}

const keep: Handle<Watched> = async ({ type, timestamp, data }, { commit }) => {
  const state = stateOf(type, { ...data })
  commit((database) => {
    database
      .prepare(
        'insert into system_monitor_counts values (?, 1) on conflict (event) do update set count = count + 1',
      )
      .run(type)
    if (state === undefined) return
    // Events of one subject may come from several channels; the latest by its own time counts.
    database
      .prepare(
        `insert into system_monitor_states values (?, ?, ?)
         on conflict (subject) do update set state = excluded.state, since = excluded.since where excluded.since >= since`,
      )
      .run(state[0], state[1], timestamp)
  })
}

// It sends nothing, not even about itself.
await runService('system-monitor', { '*': keep }, { announces: false })
