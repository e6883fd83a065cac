import { openTransport } from '../../src/messaging/open-transport.ts'
import type { Capabilities } from '../../src/messaging/transport.ts'
import type { Run } from './transports-run.ts'

/** URLs that name each transport; nothing is connected to. */
const urls = {
  memory: 'memory:',
  sqlite: 'sqlite::memory:',
  postgres: 'postgres://localhost/treaty',
  kafka: 'kafka://localhost:9092',
  nats: 'nats://localhost:4222',
  rabbitmq: 'amqp://localhost:5672',
  redis: 'redis://localhost:6379',
} as const

const promises: readonly (readonly [keyof Capabilities, string])[] = [
  ['durable', 'survives the end of the process'],
  ['multiProcess', 'several processes use one broker'],
  ['competingConsumers', 'replicas of a consumer share the work'],
  ['fanOutGroups', 'each consumer gets every message'],
  ['orderedByKey', 'messages of a key keep their order'],
  ['orderSurvivesRetry', 'order holds through retries'],
  ['orderSurvivesDead', 'order holds through dead letters (`onDead: block`)'],
  ['nativeDelayMsMax', 'delayed publish'],
  ['priorityLevels', 'priorities'],
  ['ttl', 'expired messages are never handled'],
  ['nativeDeadLetter', 'dead letters'],
  ['deliveryCount', 'crash guard: deliveries are counted over crashes'],
  ['publishDedupWindowMs', 'an id published twice is one message'],
  ['transactions', "effects inside the acknowledgement's transaction"],
  ['batchPublish', 'publish in batches'],
  ['batchSettle', 'settle in batches'],
  ['releaseOnDisconnect', 'work of a process that ends is free at once'],
  ['historyReplay', 'a consumer added later reads the past'],
  ['headers', 'headers'],
]

/** `docs/reference/transports.md`. */
export async function transportsMarkdown(run: Run): Promise<string> {
  const names = Object.keys(urls) as (keyof typeof urls)[]
  const all = new Map<string, Capabilities>()
  for (const name of names) all.set(name, (await openTransport(urls[name])).capabilities)
  const of = (name: string) => all.get(name) as Capabilities
  const table = promises.map(
    ([claim, text]) => `| ${text} | ${names.map((name) => cellOf(of(name), claim)).join(' | ')} |`,
  )
  return `# Transports

Written by \`node scripts/generate-transports.ts\` from what each transport says of itself and from the last run of \`describeTransport\`
on the real broker; do not edit. **native**: the broker does it. **ours**: Treaty does it on that broker, as the notes say. **–**: refused
when the bus is opened with a contract that needs it, or harmless, as the notes say.

| promise | ${names.join(' | ')} |
| --- |${' --- |'.repeat(names.length)}
${table.join('\n')}
| largest message, MiB | ${names.map((name) => mebibytes(of(name).messageBytesMax)).join(' | ')} |

## The conformance suite

${suiteTable(run, names)}

${names.map((name) => notesOf(name, of(name))).join('\n')}`
}

function cellOf(capabilities: Capabilities, claim: keyof Capabilities): string {
  const value = capabilities[claim]
  if (value === false || value === 0 || value === 'none') return '–'
  if (claim === 'priorityLevels' && value === 1) return '–'
  const how = capabilities.emulations?.[claim] === undefined ? 'native' : 'ours'
  return claim === 'transactions' || claim === 'priorityLevels' ? `${how}, ${value}` : how
}

function mebibytes(bytes: number): string {
  return String(Math.round((bytes / 1_048_576) * 10) / 10)
}

function suiteTable(run: Run, names: readonly string[]): string {
  const statements = new Map<string, string>()
  for (const { behaviours } of Object.values(run)) {
    for (const [number, { statement }] of Object.entries(behaviours)) {
      statements.set(number, statement)
    }
  }
  const numbers = [...statements.keys()].sort((a, b) => Number(a) - Number(b))
  const rows = numbers.map((number) => {
    const cells = names.map((name) => markOf(run[name]?.behaviours[number]?.status))
    return `| ${number} | ${statements.get(number)} | ${cells.join(' | ')} |`
  })
  const dates = names.map((name) => run[name]?.date ?? 'not run')
  return `| | a transport … | ${names.join(' | ')} |
| --- | --- |${' --- |'.repeat(names.length)}
${rows.join('\n')}
| | last run | ${dates.join(' | ')} |`
}

function markOf(status: 'passed' | 'skipped' | 'failed' | undefined): string {
  if (status === 'passed') return 'yes'
  if (status === 'failed') return '**fails**'
  return status === 'skipped' ? '–' : ''
}

function notesOf(name: string, { denials, emulations = {} }: Capabilities): string {
  const textOf = (claim: string) => promises.find(([each]) => each === claim)?.[1] ?? `\`${claim}\``
  const lines = [
    ...Object.entries(emulations).map(
      ([claim, how]) => `- ${textOf(claim)}: ours. ${sentence(how)}`,
    ),
    ...Object.entries(denials).map(([claim, why]) => `- ${textOf(claim)}: –. ${sentence(why)}`),
  ]
  return lines.length === 0 ? '' : `## ${name}\n\n${lines.join('\n')}\n`
}

function sentence(text: string): string {
  const begun = `${text.charAt(0).toUpperCase()}${text.slice(1)}`
  return /[.!?)]$/.test(begun) ? begun : `${begun}.`
}
