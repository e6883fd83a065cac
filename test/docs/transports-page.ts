import { openTransport } from '../../src/messaging/open-transport.ts'
import type { Capabilities } from '../../src/messaging/transport.ts'
import {
  promises,
  refusals,
  type TransportFacts,
  type TransportName,
  transportFacts,
  transportNames,
} from './transports-facts.ts'
import type { Outcome, Run } from './transports-run.ts'

type Records = ReadonlyMap<TransportName, Capabilities>

const introduction = `# Transports

Written by \`node scripts/generate-transports.ts\` from what each transport says of itself and from the last run of \`describeTransport\` on the
real broker; do not edit. How to choose a URL, what is made on the broker, and which settings lose messages: [the guide](../guides/brokers.md).
What a broker costs for a message, and how far it goes: [scaling](../explanation/scaling.md).`

const legend = `**native**: the broker does it, or it is in the broker's own tables. **emulated**: Treaty does it there, with the same promise; how, is said under the
name of the broker. **refused**: Treaty does not promise it there; what you meet instead is said [below](#what-refused-means). The
numbers in brackets are the rows of [the suite](#the-conformance-suite) that show it.`

/** `docs/reference/transports.md`. */
export async function transportsMarkdown(run: Run): Promise<string> {
  const records: Map<TransportName, Capabilities> = new Map()
  for (const name of transportNames) {
    records.set(name, (await openTransport(transportFacts[name].url)).capabilities)
  }
  return `${introduction}

${choiceTable()}

## What each promises

${legend}

${promiseTable(records)}

## What refused means

${refusalList(records)}

## The conformance suite

${suiteTable(run)}

${transportNames.map((name) => sectionOf(name, recordOf(records, name))).join('\n\n')}
`
}

function recordOf(records: Records, name: TransportName): Capabilities {
  const record = records.get(name)
  if (record === undefined) throw new Error(`no capabilities of ${name}`)
  return record
}

const headOf = () =>
  `| ${transportNames.join(' | ')} |\n| --- |${' --- |'.repeat(transportNames.length)}`

function choiceTable(): string {
  const rows = transportNames.map((name) => {
    const { title, needs, driver, choose }: TransportFacts = transportFacts[name]
    return `| [${title}](#${anchorOf(title)}) | ${needs} | ${driver ?? '–'} | ${choose} |`
  })
  return `| | oldest server | npm package | choose it when |\n| --- | --- | --- | --- |\n${rows.join('\n')}`
}

function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replaceAll(/[^a-z0-9 -]/g, '')
    .replaceAll(' ', '-')
}

/** Rows of the suite that show a promise. */
const shownBy: Readonly<Partial<Record<keyof Capabilities, string>>> = {
  durable: '2, 8, 33',
  multiProcess: '7, 42',
  competingConsumers: '6, 35',
  fanOutGroups: '5',
  orderedByKey: '21, 24, 35',
  orderSurvivesRetry: '22',
  orderSurvivesDead: '23',
  nativeDelayMsMax: '27',
  priorityLevels: '25',
  ttl: '26',
  nativeDeadLetter: '12 to 20',
  deliveryCount: '15',
  publishDedupWindowMs: '28',
  transactions: '44, 45',
  batchPublish: '3',
  batchSettle: '34',
  releaseOnDisconnect: '31, 32',
  headers: '1, 38',
}

function promiseTable(records: Records): string {
  const rows = promises.map(([claim, text]) => {
    const cells = transportNames.map((name) => cellOf(recordOf(records, name), claim))
    return `| ${text}${shownBy[claim] === undefined ? '' : ` (${shownBy[claim]})`} | ${cells.join(' | ')} |`
  })
  const sizes = transportNames.map((name) => mebibytes(recordOf(records, name).messageBytesMax))
  return `| promise ${headOf()}
${rows.join('\n')}
| largest message, MiB (4) | ${sizes.join(' | ')} |`
}

function isRefused(capabilities: Capabilities, claim: keyof Capabilities): boolean {
  const value = capabilities[claim]
  if (claim === 'priorityLevels') return capabilities.priorityLevels <= 1
  return value === false || value === 0 || value === 'none'
}

function cellOf(capabilities: Capabilities, claim: keyof Capabilities): string {
  if (isRefused(capabilities, claim)) return '**refused**'
  const how = capabilities.emulations?.[claim] === undefined ? 'native' : 'emulated'
  if (claim === 'priorityLevels') return `${how}, ${capabilities.priorityLevels} levels`
  if (claim !== 'transactions') return how
  return `${how}, ${capabilities.transactions === 'sync' ? 'synchronous' : 'asynchronous'}`
}

function mebibytes(bytes: number): string {
  return String(Math.round((bytes / 1_048_576) * 100) / 100)
}

function refusalList(records: Records): string {
  const items = promises.flatMap(([claim, text]) => {
    const names = transportNames.filter((name) => isRefused(recordOf(records, name), claim))
    if (names.length === 0) return []
    const meaning = refusals[claim]
    if (meaning === undefined)
      throw new Error(`the page does not say what it means to refuse ${claim}`)
    return [`- **${text}** (${names.join(', ')}). ${meaning}`]
  })
  return items.join('\n')
}

function suiteTable(run: Run): string {
  const statements = new Map<string, string>()
  for (const { behaviours } of Object.values(run)) {
    for (const [number, { statement }] of Object.entries(behaviours))
      statements.set(number, statement)
  }
  const rows = [...statements.keys()]
    .sort((a, b) => Number(a) - Number(b))
    .map((number) => {
      const cells = transportNames.map((name) => markOf(run[name]?.behaviours[number]?.status))
      return `| ${number} | ${statements.get(number)} | ${cells.join(' | ')} |`
    })
  const dates = transportNames.map((name) => run[name]?.date ?? 'not run')
  const others = transportNames.map((name) => {
    const ends = Object.values(run[name]?.further ?? {})
    const failed = ends.filter((each) => each === 'failed').length
    if (ends.length === 0) return ''
    return `${ends.length - failed}${failed > 0 ? `, **${failed} fail**` : ''}`
  })
  return `The same tests on each: \`vitest run --project crossing test/conformance/transport.\`, on servers that \`services/up\` starts, with processes that are killed and
frozen and connections that are cut. **yes**: shown. **–**: not asked, because it rests on a promise that is refused there.

| | a transport … ${headOf().replace('| --- |', '| --- | --- |')}
${rows.join('\n')}
| | further tests of its own faults, limits, credentials and garbage that pass | ${others.join(' | ')} |
| | last run | ${dates.join(' | ')} |`
}

function markOf(status: Outcome['status'] | undefined): string {
  if (status === 'passed') return 'yes'
  if (status === 'failed') return '**fails**'
  return status === 'skipped' ? '–' : ''
}

function sectionOf(name: TransportName, capabilities: Capabilities): string {
  const { title, url, options }: TransportFacts = transportFacts[name]
  const rows = Object.entries(options).map(([option, text]) => `| \`${option}\` | ${text} |`)
  const table = rows.length === 0 ? '' : `\n\n| option | |\n| --- | --- |\n${rows.join('\n')}`
  return `## ${title}\n\n\`${url}\`${table}${notesOf(capabilities)}`
}

function notesOf({ denials, emulations = {} }: Capabilities): string {
  const textOf = (claim: string) => promises.find(([each]) => each === claim)?.[1]
  const lineOf = (claim: string, word: string, text: string) =>
    textOf(claim) === undefined
      ? `- ${sentence(text)}`
      : `- ${textOf(claim)}: ${word}. ${sentence(text)}`
  const lines = [
    ...Object.entries(denials).map(([claim, why]) => lineOf(claim, '**refused**', why)),
    ...Object.entries(emulations).map(([claim, how]) => lineOf(claim, 'emulated', how)),
  ]
  return lines.length === 0 ? '' : `\n\n${lines.join('\n')}`
}

function sentence(text: string): string {
  const begun = `${text.charAt(0).toUpperCase()}${text.slice(1)}`
  return /[.!?)]$/.test(begun) ? begun : `${begun}.`
}
