import type { Contract, ContractTypes, ContractTypesOf, Message } from '../contracts/index.ts'
import { decodeEnvelope } from '../contracts/index.ts'
import { TreatyError } from '../core/errors.ts'
import { seededRandom } from '../core/random.ts'
import type { Bus, BusOptions, DeadLetter, OutgoingRecord } from '../messaging/index.ts'
import { openBus, openTransport } from '../messaging/index.ts'
import type { DeepPartial } from './fake.ts'
import { fakeData } from './fake.ts'
import type { FakeClock } from './fake-clock.ts'
import { fakeClock } from './fake-clock.ts'
import type { Observation } from './observed-transport.ts'
import { observeTransport } from './observed-transport.ts'
import type { SettledOptions } from './settling.ts'
import { moveUntil, settle } from './settling.ts'

export interface TestBusOptions
  extends Pick<BusOptions, 'service' | 'profile' | 'messageBytesMax' | 'transport'> {
  /** What the clock says at first, epoch milliseconds. Default 2026-01-01T00:00:00Z. */
  readonly startMs?: number
  /** Seed of retry jitter and of {@link TestBus.fake}. Default 1. */
  readonly seed?: number
}

type EventOf<C extends ContractTypes> = keyof C['events'] & string
type ConsumerOf<C extends ContractTypes> = keyof C['consumers'] & string

/** What a test bus has beside a bus. */
export interface TestBusExtras<C extends ContractTypes> {
  /** The time of everything on this bus; it moves only when it is told to, or by {@link settled}. */
  readonly clock: FakeClock
  /**
   * Resolves when nothing more can happen: every message that an attached consumer can handle is handled, retried to
   * the end, or dead. The clock moves to the times that retries and delayed messages wait for.
   *
   * @throws NOT_SETTLED naming what keeps the bus busy · whatever the transport reported
   */
  settled(options?: SettledOptions): Promise<void>
  /** Messages of an event, or all, that were published so far, oldest first. */
  published<Event extends EventOf<C>>(event: Event): Message<C['events'][Event]>[]
  published(): Message<C['events'][EventOf<C>]>[]
  /** The same as they went over the wire: bytes, headers, key. */
  records(event: string): OutgoingRecord[]
  /** Messages that a consumer has handled and acknowledged, oldest first. */
  handled<Name extends ConsumerOf<C>>(
    consumer: Name,
  ): Message<C['events'][C['consumers'][Name] & EventOf<C>]>[]
  /** Dead letters with bodies, oldest first, of one consumer or all. */
  deadLetters(consumer?: ConsumerOf<C>): Promise<DeadLetter[]>
  /** Valid data for an event: see `fake`. Each call gives other data; a new bus gives the same again. */
  fake<Event extends EventOf<C>>(
    event: Event,
    overrides?: DeepPartial<C['events'][Event]>,
  ): C['events'][Event]
}
export type TestBus<C extends ContractTypes = ContractTypes> = Bus<C> & TestBusExtras<C>

/** The types that contracts carry, merged; contracts without types leave everything open. */
type TypesOf<Given extends Contract | readonly Contract[]> =
  Merge<
    ContractTypesOf<Given extends readonly Contract[] ? Given[number] : Given>
  > extends infer Types extends ContractTypes
    ? Types
    : ContractTypes
type Merge<U> = (U extends unknown ? (item: U) => void : never) extends (item: infer I) => void
  ? I
  : never

/**
 * A bus for tests: in memory, with a clock that stands still and luck that repeats. What goes through it is
 * validated, retried and dead-lettered exactly as in production; only time is yours.
 *
 * Where a contract names several producers the bus speaks as one that may send the event, unless `service` says which.
 *
 * @example
 * await using bus = await createTestBus<Contracts>('./contracts')
 * await bus.consume('billing', handlers)
 * await bus.publish('order.placed', bus.fake('order.placed', { total: { amount: 100 } }))
 * await bus.settled()
 * expect(bus.published('invoice.created')).toHaveLength(1)
 */
export async function createTestBus<const Given extends Contract | readonly Contract[]>(
  contracts: Given,
  options?: TestBusOptions,
): Promise<TestBus<TypesOf<Given>>>
export async function createTestBus<C extends ContractTypes>(
  contracts: BusOptions['contracts'] | Contract,
  options?: TestBusOptions,
): Promise<TestBus<C>>
export async function createTestBus(
  contracts: BusOptions['contracts'] | Contract,
  options?: TestBusOptions,
): Promise<TestBus>
export async function createTestBus(
  contracts: BusOptions['contracts'] | Contract,
  options: TestBusOptions = {},
): Promise<TestBus> {
  const { startMs, seed = 1, transport: named = 'memory:', ...rest } = options
  const clock = fakeClock(startMs)
  const inner = typeof named === 'string' ? await openTransport(named, { clock }) : named
  const { transport, observation } = observeTransport(inner, () => clock.now())
  const isOne = typeof contracts === 'object' && 'events' in contracts
  const base: BusOptions = {
    ...rest,
    contracts: isOne ? [contracts] : contracts,
    transport,
    clock,
    random: seededRandom(seed),
  }
  const bus = await openBus(base)
  const problems: TreatyError[] = []
  bus.onError((error) => problems.push(error))
  const close: Bus['close'] = (closing) => moveUntil(clock, bus.close(closing))
  return {
    ...bus,
    ...publishers(bus, base),
    ...extras({ bus, clock, observation, problems, seed }),
    close,
    [Symbol.asyncDispose]: () => close(),
  }
}

/** Publishing as whichever service may send the event, so that a test need not open a bus for each. */
function publishers(bus: Bus, base: BusOptions): Pick<Bus, 'publish' | 'publishMany'> {
  const others = new Map<string, Promise<Bus>>()
  const busFor = (event: string): Bus | Promise<Bus> => {
    if (base.service !== undefined) return bus
    const contract = bus.contracts.find((each) => Object.hasOwn(each.events, event))
    const able = Object.values(contract?.producers ?? {}).filter(
      (producer) => producer.events === undefined || producer.events.includes(event),
    )
    const service = able[0]?.name
    if (service === undefined || able.length === 1) return bus
    const known = others.get(service) ?? openBus({ ...base, contracts: bus.contracts, service })
    others.set(service, known)
    return known
  }
  return {
    async publish(event, data, options) {
      return (await busFor(event)).publish(event, data, options)
    },
    async publishMany(messages) {
      const results: Awaited<ReturnType<Bus['publishMany']>> = []
      for (const message of messages) {
        results.push(...(await (await busFor(message.event)).publishMany([message])))
      }
      return results
    },
  }
}

interface ExtrasInput {
  readonly bus: Bus
  readonly clock: FakeClock
  readonly observation: Observation
  readonly problems: TreatyError[]
  readonly seed: number
}

const deadLetterPage = 100

function extras({
  bus,
  clock,
  observation,
  problems,
  seed,
}: ExtrasInput): TestBusExtras<ContractTypes> {
  let faked = 0
  const isEvent = (type: string) => bus.contracts.some((each) => Object.hasOwn(each.events, type))
  return {
    clock,
    async settled(options) {
      await settle({ transport: bus.transport, observation, clock, problems }, options)
      if (problems[0]) throw problems[0]
    },
    published(event?: string) {
      if (event !== undefined) assertEvent(bus, event)
      const records = observation.published.filter(({ type }) =>
        event === undefined ? isEvent(type) : type === event,
      )
      return records.map((record) => readRecord(bus, record)) as never
    },
    records: (event) => observation.published.filter(({ type }) => type === event),
    handled(consumer) {
      assertConsumer(bus, consumer)
      return observation.settled
        .filter(({ delivery }) => observation.consumerOf(delivery.group) === consumer)
        .filter(({ settlement }) => settlement.outcome === 'ack' && settlement.as !== 'skipped')
        .map(({ delivery }) => readRecord(bus, delivery.record)) as never
    },
    deadLetters: (consumer) => allDeadLetters(bus, consumer),
    fake(event, overrides) {
      const contract = assertEvent(bus, event)
      faked += 1
      return fakeData(contract.events[event] as never, overrides, {
        seed: seed * 7919 + faked,
      }) as never
    },
  }
}

function assertEvent(bus: Bus, event: string): Contract {
  const contract = bus.contracts.find((each) => Object.hasOwn(each.events, event))
  if (contract) return contract
  const known = bus.contracts.flatMap((each) => Object.keys(each.events))
  throw new TreatyError('UNKNOWN_EVENT', `no contract of this bus has an event "${event}"`, {
    hint: `Use one of ${known.slice(0, 12).join(', ')}.`,
    details: { event },
  })
}

function assertConsumer(bus: Bus, consumer: string): void {
  const known = bus.contracts.flatMap((each) => Object.keys(each.consumers))
  if (known.includes(consumer)) return
  throw new TreatyError(
    'CONSUMER_NOT_FOUND',
    `no contract of this bus has a consumer "${consumer}"`,
    {
      hint: `Use one of ${known.slice(0, 12).join(', ')}.`,
      details: { consumer },
    },
  )
}

function readRecord(bus: Bus, record: OutgoingRecord): Message {
  const contract = bus.contracts.find((each) => Object.hasOwn(each.events, record.type))
  return decodeEnvelope(record, contract?.envelope ?? 'treaty')
}

async function allDeadLetters(bus: Bus, consumer: string | undefined): Promise<DeadLetter[]> {
  const letters: DeadLetter[] = []
  let cursor: string | undefined
  do {
    const page = await bus.dead.list({
      ...(consumer === undefined ? {} : { consumer }),
      ...(cursor === undefined ? {} : { cursor }),
      limit: deadLetterPage,
    })
    for (const { id } of page.items) {
      const letter = await bus.dead.get(id)
      if (letter) letters.push(letter)
    }
    cursor = page.next
  } while (cursor !== undefined)
  return letters.sort((one, two) => one.failedAt - two.failedAt)
}
