import { formatDuration } from '../../core/duration.ts'
import type { Finding } from '../../core/finding.ts'
import type { Json } from '../../core/json.ts'
import { qualityGate } from '../check/completeness.ts'
import { integrationExample, integrationSchema } from '../envelope/envelope-schema.ts'
import { readContractText } from '../loader.ts'
import type { CommandDefinition, Consumer, Contract, EventDefinition } from '../model.ts'
import { contractToYaml } from '../read/contract-yaml.ts'

/** A text as part of a sentence or cell: one line, nothing in it that Markdown or HTML would read. */
function plain(text: string): string {
  return text
    .replaceAll(/\s+/g, ' ')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll(/[\\|*_[\]`]/g, '\\$&')
    .trim()
}

function code(text: string): string {
  const fence = text.includes('`') ? '``' : '`'
  return `${fence}${text.replaceAll('|', '\\|')}${fence}`
}

function fenced(language: string, text: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length))
  const fence = '`'.repeat(longest + 1)
  return `${fence}${language}\n${text.trimEnd()}\n${fence}`
}

function json(value: Json): string {
  return fenced('json', JSON.stringify(value, null, 2))
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return 'None.'
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

const names = (list: Iterable<string>) => [...list].map(code).join(', ') || 'none'
const orNone = (text: string | undefined) => (text === undefined ? '–' : plain(text))

function overview(contract: Contract): string {
  const { pattern, owner } = contract
  return table(
    ['', ''],
    [
      ['Name', code(contract.id)],
      ['Version', `${code(contract.version)}, ${contract.status}`],
      ['Purpose', plain(contract.purpose)],
      ['Producer service', names(Object.keys(contract.producers))],
      ['Consumer services', names(Object.keys(contract.consumers))],
      ['Communication pattern', `${pattern.timing}, ${pattern.style}, ${pattern.initiative}`],
      ['Envelope', code(contract.envelope)],
      [
        'Owner',
        owner
          ? [owner.team, owner.contact, owner.oncall]
              .filter(Boolean)
              .map((text) => plain(String(text)))
              .join(', ')
          : '–',
      ],
      ['Design document', orNone(contract.design)],
    ],
  )
}

function topic(contract: Contract, name: string): string {
  const channel = contract.channels[name]
  if (!channel) return code(name)
  const details = [
    `channel ${code(name)}`,
    ...(channel.key === undefined ? [] : [`key ${code(channel.key)}`]),
    `ordering ${channel.ordering}`,
    ...(channel.retentionMs === undefined ? [] : [`kept ${formatDuration(channel.retentionMs)}`]),
  ]
  return `${code(channel.address)} (${details.join(', ')})`
}

function example(contract: Contract, message: EventDefinition | CommandDefinition): string {
  const [first] = message.examples
  if (!first) return 'None recorded.'
  const isWrapped =
    contract.envelope === 'integration' && Object.hasOwn(contract.events, message.name)
  return json(
    isWrapped
      ? integrationExample(message as EventDefinition, contract.version, first.value)
      : first.value,
  )
}

function deprecation({ deprecated }: EventDefinition | CommandDefinition): string[] {
  if (!deprecated) return []
  const { since, sunset, use } = deprecated
  const until = sunset === undefined ? '' : `, refused from ${sunset}`
  const instead = use === undefined ? '' : `, use ${code(use)} instead`
  return [`**Deprecated:** since ${code(since)}${until}${instead}`]
}

function eventSection(contract: Contract, event: EventDefinition): string {
  const isWrapped = contract.envelope === 'integration'
  return [
    `### ${code(event.name)}`,
    `**Purpose:** ${plain(event.purpose)}`,
    `**Topic/Queue:** ${topic(contract, event.channel)}`,
    ...deprecation(event),
    `**Schema:**${isWrapped ? '' : ' of the data'}`,
    json(isWrapped ? integrationSchema(event) : event.schema),
    '**Example:**',
    example(contract, event),
  ].join('\n\n')
}

function commandSection(contract: Contract, command: CommandDefinition): string {
  const errors = Object.entries(command.errors)
  return [
    `### ${code(command.name)} (command)`,
    `**Purpose:** ${plain(command.purpose) || '–'}`,
    `**Topic/Queue:** ${topic(contract, command.channel)}`,
    `**Handler:** ${code(command.handler)}, answers within ${formatDuration(command.timeoutMs)}`,
    ...deprecation(command),
    '**Schema:** of the data',
    json(command.schema),
    ...(command.reply === undefined ? [] : ['**Reply:**', json(command.reply)]),
    ...errors.flatMap(([name, schema]) => [`**Error ${code(name)}:**`, json(schema)]),
    '**Example:**',
    example(contract, command),
  ].join('\n\n')
}

function definitions(contract: Contract): string {
  return [
    ...Object.values(contract.events).map((event) => eventSection(contract, event)),
    ...Object.values(contract.commands).map((command) => commandSection(contract, command)),
  ].join('\n\n')
}

const policies: Readonly<Record<Contract['evolution']['policy'], string>> = {
  strict: 'the schema as written binds both sides',
  evolvable: 'producers write declared fields only, consumers let unknown fields pass',
  'confluent-strict': 'the rules of the Confluent registry, strict',
  'confluent-lenient': 'the rules of the Confluent registry, lenient',
}

function versioning(contract: Contract): string {
  const { policy, mode, upcast } = contract.evolution
  const all = [...Object.values(contract.events), ...Object.values(contract.commands)]
  const deprecated = all.filter((message) => message.deprecated)
  return [
    `- Schema version format: semantic version, now ${code(contract.version)}`,
    `- Backward compatibility rules: policy ${code(policy)} (${policies[policy]}), mode ${code(mode)}`,
    `- Deprecation process: ${deprecated.length === 0 ? 'nothing is deprecated' : 'see the table'}`,
    ...(deprecated.length === 0
      ? []
      : [
          '',
          table(
            ['Deprecated', 'Since', 'Refused from', 'Use instead'],
            deprecated.map((message) => [
              code(message.name),
              orNone(message.deprecated?.since),
              orNone(message.deprecated?.sunset),
              orNone(message.deprecated?.use),
            ]),
          ),
        ]),
    ...(upcast.length === 0
      ? []
      : [
          '',
          table(
            ['Upcast', 'From', 'To', 'JSONata'],
            upcast.map((each) => [
              code(each.event),
              code(each.from),
              code(each.to),
              code(each.jsonata),
            ]),
          ),
        ]),
  ].join('\n')
}

function consumers(contract: Contract): string {
  const all = Object.values(contract.consumers)
  const entries = table(
    ['Consumer', 'Kind', 'Accepts', 'Written against', 'Starts at', 'State'],
    all.map((consumer) => [
      code(consumer.name),
      consumer.kind,
      code(consumer.accepts),
      orNone(consumer.since),
      consumer.start,
      consumer.pending ? 'pending' : 'deployed',
    ]),
  )
  const needs = table(
    ['Consumer', 'Event', 'What it expects', 'How it handles the event'],
    all.flatMap((consumer) =>
      Object.entries(consumer.events).map(([event, consumed]) => [
        code(consumer.name),
        code(event),
        consumed.needsSchema === undefined ? names(consumed.needs) : 'a schema of its own',
        orNone(consumed.handling),
      ]),
    ),
  )
  return `${entries}\n\n${needs}`
}

function retryText({ retry }: Consumer): string {
  if (retry.attempts === 1) return 'none'
  const waits = `${formatDuration(retry.baseMs)} × ${retry.factor}, at most ${formatDuration(retry.capMs)}`
  return `${retry.attempts} attempts, ${waits}, jitter ${retry.jitter}`
}

function errorHandling(contract: Contract): string {
  const all = Object.values(contract.consumers)
  const failed = table(
    ['Consumer', 'Retry strategy', 'Recognises a repetition by'],
    all.map((consumer) => [
      code(consumer.name),
      retryText(consumer),
      consumer.idempotency
        ? `${code(consumer.idempotency.key)}, for ${formatDuration(consumer.idempotency.windowMs)}`
        : '–',
    ]),
  )
  const letters = table(
    [
      'Consumer',
      'Dead letter queue',
      'Kept',
      'Owner',
      'Later messages of the key',
      'Expired messages',
    ],
    all.map(({ name, deadLetter }) => [
      code(name),
      code(deadLetter.address),
      formatDuration(deadLetter.retentionMs),
      orNone(deadLetter.owner),
      deadLetter.onDead === 'block' ? 'wait' : 'go on',
      deadLetter.onExpired === 'drop' ? 'are dropped' : 'become dead letters',
    ]),
  )
  const invalid = Object.values(contract.producers).map(
    ({ name, onInvalid }) =>
      `- Data of ${code(name)} that breaks its schema ${onInvalid === 'reject' ? 'is refused' : 'becomes a dead letter'}`,
  )
  return [failed, letters, invalid.join('\n')].filter((part) => part !== '').join('\n\n')
}

function promises(contract: Contract): string {
  const { delivery, mechanism, latency, availability } = contract.sla
  const guarantee = delivery ?? 'at-least-once'
  const orders = Object.values(contract.channels).map(({ name, ordering, key }) =>
    key === undefined ? `${code(name)} ${ordering}` : `${code(name)} ${ordering} (${code(key)})`,
  )
  return [
    `- Delivery guarantees: ${guarantee}${mechanism === undefined ? '' : ` by ${plain(mechanism)}`}`,
    `- Latency expectations: ${latency ? `p${latency.percentile} within ${formatDuration(latency.withinMs)}` : 'none'}`,
    `- Ordering guarantees: ${orders.join(', ')}`,
    ...(availability
      ? [`- Availability: ${availability.target}% over ${formatDuration(availability.windowMs)}`]
      : []),
  ].join('\n')
}

function gate(contract: Contract): string {
  const { block, waivers } = contract.gate
  const boxes = qualityGate(contract).map(({ name, isMet, missing }) => {
    const shown = missing.slice(0, 5).map(plain).join(', ')
    const more = missing.length > 5 ? ` and ${missing.length - 5} more` : ''
    return `- [${isMet ? 'x' : ' '}] ${name}${isMet ? '' : `: ${shown}${more} missing`}`
  })
  const parts = [
    'Computed from the contract each time it is rendered, never ticked by hand.',
    boxes.join('\n'),
    `Stops a release: ${names(block)}`,
  ]
  if (waivers.length > 0) {
    const rows = waivers.map((waiver) => [
      code(waiver.rule),
      orNone(waiver.at),
      plain(waiver.reason),
      plain(waiver.approvedBy),
      waiver.expires,
    ])
    parts.push(table(['Waived', 'Where', 'Reason', 'Approved by', 'Until'], rows))
  }
  const reviewed = new Map(contract.reviews.map((review) => [review.consumer, review]))
  const rows = Object.keys(contract.consumers).map((name) => {
    const review = reviewed.get(name)
    return [code(name), orNone(review?.by), orNone(review?.at)]
  })
  parts.push(table(['Consumer', 'Reviewed by', 'At'], rows))
  return parts.join('\n\n')
}

const machineHeading = '## Machine-readable form'

/**
 * The contract as Markdown: the seven sections of seed 000 in their order, each event with purpose, topic, schema and
 * example, and at the end the contract itself as YAML, so that {@link parseRenderedContract} gives the same model.
 */
export function renderContract(contract: Contract): string {
  const sections: [string, string][] = [
    ['Overview', overview(contract)],
    ['Event/Message Definitions', definitions(contract)],
    ['Versioning Strategy', versioning(contract)],
    ['Consumer Contracts', consumers(contract)],
    ['Error Handling', errorHandling(contract)],
    ['SLAs', promises(contract)],
    ['Quality Gate', gate(contract)],
  ]
  const body = sections.map(([title, text]) => `## ${title}\n\n${text}`)
  return [
    `# ${plain(contract.id)}`,
    ...body,
    `${machineHeading}\n\n${fenced('yaml', contractToYaml(contract))}`,
  ]
    .join('\n\n')
    .concat('\n')
}

/** Reads a contract back from the Markdown that {@link renderContract} wrote. Never throws on content. */
export function parseRenderedContract(markdown: string): {
  readonly contract?: Contract
  readonly findings: readonly Finding[]
} {
  const start = markdown.lastIndexOf(`\n${machineHeading}\n`)
  const found =
    start === -1 ? undefined : /(`{3,})yaml\n([\s\S]*?)\n\1(?:\n|$)/.exec(markdown.slice(start))
  if (!found) {
    return {
      findings: [
        {
          code: 'CONTRACT_UNMARKED',
          message: 'this Markdown has no machine-readable form of a contract at its end',
          severity: 'error',
          hint: 'Render the contract again with treaty contract docs.',
        },
      ],
    }
  }
  return readContractText(found[2] ?? '')
}
