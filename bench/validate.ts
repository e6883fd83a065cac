import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Ajv as AjvInstance, Options } from 'ajv'
import { Ajv } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import type { Contract, Message } from 'treatyjs'
import { createMessageBuilder, loadContracts, validateMessage } from 'treatyjs'
// What is not a door is taken from the built package itself: the parts that the bus runs for each message.
import { createMessageValidator, permittedSources } from '../dist/contracts/index.js'
import { messageSchema } from '../dist/contracts/message/message-schema.js'
import { formatChecks } from '../dist/contracts/schema/formats.js'
import { ruleKeyword } from '../dist/contracts/schema/rules.js'
import { type BenchOptions, measureSides, type Side, timed } from './measure.ts'
import { makeOrder, orderContract } from './orders.ts'
import { atLeast, type Report, type Row } from './report.ts'

/** Messages and, for each, the contract it is judged by. */
interface Sample {
  readonly name: string
  readonly contracts: readonly Contract[]
  readonly messages: readonly Message<unknown>[]
}

type Check = (message: unknown) => boolean

async function agentPlatform(): Promise<Sample> {
  const folder = new URL('../contracts/agent-platform/', import.meta.url)
  const { contracts } = await loadContracts(fileURLToPath(new URL('agent-platform.yaml', folder)))
  const messages = readdirSync(new URL('examples/', folder))
    .filter((file) => file.endsWith('.json'))
    .map((file) => {
      const data = JSON.parse(readFileSync(new URL(`examples/${file}`, folder), 'utf8')) as never
      const event = file.slice(0, -'.json'.length)
      const [source = 'bench'] = permittedSources(contracts[0] as Contract, event) ?? []
      return createMessageBuilder({ contracts, source }).build(event, data)
    })
  return { name: 'agent-platform events', contracts, messages }
}

function orders(): Sample {
  const contract = orderContract()
  const build = createMessageBuilder({ contracts: [contract], source: 'shop' })
  const messages = Array.from({ length: 100 }, (_, n) => build.build('order.placed', makeOrder(n)))
  return { name: '500 B orders', contracts: [contract], messages }
}

/** Ajv as its documentation shows it: one function for one schema, compiled once. */
function ajvCheck(contract: Contract, type: string): Check {
  const event = contract.events[type]
  if (event === undefined) throw new Error(`${type} is not in ${contract.id}`)
  const options: Options = { strict: false, formats: formatChecks, logger: false }
  const schema = messageSchema({
    data: event.schema,
    envelope: contract.envelope,
    profile: 'default',
    type,
    view: 'reader',
  })
  const isDraft07 = JSON.stringify(schema).includes('draft-07')
  const ajv: AjvInstance = isDraft07 ? new Ajv(options) : new Ajv2020(options)
  // Cross-field rules are part of the schemas; without their keyword Ajv would do less than it is compared with.
  ajv.addKeyword(ruleKeyword)
  return ajv.compile(schema as object) as Check
}

function treatyCheck(contracts: readonly Contract[], type: string): Check {
  const check = createMessageValidator({ contracts, view: 'reader' }).forEvent(type)?.check
  if (check === undefined) throw new Error(`${type} has no validator`)
  return check
}

function checksBy(sample: Sample, make: (contract: Contract, type: string) => Check): Check[] {
  const made = new Map<string, Check>()
  return sample.messages.map(({ type }) => {
    const contract = sample.contracts.find((each) => each.events[type] !== undefined)
    if (contract === undefined) throw new Error(`${type} is in no contract`)
    const check = made.get(type) ?? make(contract, type)
    made.set(type, check)
    return check
  })
}

/** Calls each check on its message, over and over; every result is counted, so none is optimised away. */
function checkSide(name: string, sample: Sample, checks: readonly Check[], times: number): Side {
  const { messages } = sample
  const work = () => {
    let accepted = 0
    for (let time = 0; time < times; time += 1) {
      for (let n = 0; n < messages.length; n += 1) {
        if ((checks[n] as Check)(messages[n])) accepted += 1
      }
    }
    if (accepted !== times * messages.length) throw new Error(`${name} refused a message`)
  }
  return {
    name,
    async round() {
      const round = await timed(times * messages.length, work)
      return { ...round, latenciesMs: latencies(checks, messages) }
    },
  }
}

/** A sample of single calls, outside the timed loop. */
function latencies(
  checks: readonly Check[],
  messages: readonly Message<unknown>[],
): readonly number[] {
  return Array.from({ length: 200 }, (_, n) => {
    const at = n % messages.length
    const begunAt = performance.now()
    ;(checks[at] as Check)(messages[at])
    return performance.now() - begunAt
  })
}

/** Rounds are short and many, so that whatever interrupts one leaves the median alone. */
const roundsEach = 30
const checksPerRound = 20_000

/** Treaty's message validator against Ajv's compiled function alone: same schema, same formats. */
export async function bench(options: BenchOptions): Promise<Report> {
  const rows: Row[] = []
  const bars = []
  for (const sample of [await agentPlatform(), orders()]) {
    const times = Math.ceil(checksPerRound / sample.messages.length)
    const reference = `Ajv alone, ${sample.name}`
    const treaty = `Treaty, ${sample.name}`
    const whole = { contracts: sample.contracts }
    const measured = await measureSides(
      [
        checkSide(reference, sample, checksBy(sample, ajvCheck), times),
        checkSide(
          treaty,
          sample,
          checksBy(sample, (_, type) => treatyCheck(sample.contracts, type)),
          times,
        ),
        checkSide(
          `validateMessage with its findings, ${sample.name}`,
          sample,
          sample.messages.map(() => (message: unknown) => validateMessage(message, whole).ok),
          Math.ceil(times / 4),
        ),
      ],
      { rounds: options.isSmoke ? 2 : options.rounds * roundsEach, reference },
    )
    rows.push(...measured)
    const ratio = measured.find((row) => row.name === treaty)?.ratio ?? null
    bars.push(atLeast(`validate ${sample.name} ÷ Ajv alone`, 0.95, ratio))
  }
  return {
    bench: 'validate',
    bars,
    rows,
    notes: [
      `each round ${roundsEach} short ones of ${checksPerRound} checks, sides in turn`,
      'the whole message, envelope and data, reader view; Ajv with the same schema, format functions and cross-field rules',
    ],
  }
}
