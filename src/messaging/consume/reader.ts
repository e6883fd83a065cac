import type {
  Consumer,
  Contract,
  EventValidator,
  Message,
  Upcaster,
} from '../../contracts/index.ts'
import { createUpcaster, satisfies } from '../../contracts/index.ts'
import { errorMessage, isTreatyError, TreatyError } from '../../core/errors.ts'
import type { Finding } from '../../core/finding.ts'
import { type Json, valueAt } from '../../core/json.ts'
import type { Delivery, Failure } from '../transport.ts'
import { messageOf } from '../wire/foreign-wire.ts'

/** A delivery whose message may be handled, or the reason why it never can be. */
export type Reading =
  | { readonly message: Message; readonly skip?: boolean }
  | { readonly failure: Failure }

/** Turns deliveries of one consumer into messages: decodes, checks the version, validates the reader view. */
export interface Reader {
  read(delivery: Delivery): Reading
  /** The idempotency key of a message; undefined where the contract asks for none, or the message has none. */
  idempotencyKey(message: Message): string | undefined
  /**
   * The message in the contract's own version, where `read` let it pass as one of another major version that an upcast
   * leads from; undefined for every other message, and the member is absent where the contract has no upcasts.
   * The promise rejects with UPCAST_FAILED, which is a reason to bury the message.
   */
  upcast?(message: Message): Promise<Message> | undefined
}

export interface ReaderOptions {
  readonly contract: Contract
  readonly consumer: Pick<Consumer, 'name' | 'accepts' | 'events' | 'idempotency'>
  /** The reader view of a message type; undefined for a type that no loaded contract knows. */
  readonly validatorOf: (type: string) => EventValidator | undefined
}

/** Versions whose readability is remembered. */
const versionsMax = 1000

export function createReader(options: ReaderOptions): Reader {
  const { contract, consumer } = options
  const upcaster = contract.evolution.upcast.length > 0 ? createUpcaster(contract) : undefined
  const ways = new Map<string, Way>()

  function wayOf(version: string, type: string): Way {
    const key = upcaster === undefined ? version : `${version} ${type}`
    const known = ways.get(key)
    if (known !== undefined) return known
    const way = findWay(version, type, { ...options, upcaster })
    if (ways.size < versionsMax) ways.set(key, way)
    return way
  }

  return {
    read(delivery) {
      const { record } = delivery
      let message: Message
      try {
        message = messageOf(record, contract)
      } catch (error) {
        const findings = isTreatyError(error) ? error.findings : []
        return failed(contract, 'UNDECODABLE', { message: errorMessage(error), findings })
      }
      return judge(message, options, wayOf)
    },

    idempotencyKey(message) {
      const path = consumer.idempotency?.key
      if (path === undefined) return undefined
      if (path === 'id') return message.id
      const value = valueAt(message, path)
      if (value === undefined || value === null) return undefined
      return typeof value === 'string' ? value : JSON.stringify(value)
    },

    ...(upcaster === undefined
      ? {}
      : {
          upcast(message: Message) {
            const version = message.metadata?.schema_version
            if (version === undefined || wayOf(version, message.type) !== 'upcast') return undefined
            return upcasted(message, version, { ...options, upcaster })
          },
        }),
  }
}

/** What becomes of messages of one version: read as they are, upcast first, or refused. */
type Way = 'as it is' | 'upcast' | 'refused'

interface WithUpcaster extends ReaderOptions {
  readonly upcaster: Upcaster | undefined
}

function findWay(version: string, type: string, options: WithUpcaster): Way {
  const { contract, consumer, upcaster } = options
  if (sameMajor(version, contract.version)) return 'as it is'
  if (upcaster?.path(type, version) !== undefined) return 'upcast'
  return satisfies(version, consumer.accepts) ? 'as it is' : 'refused'
}

async function upcasted(
  message: Message,
  from: string,
  { contract, upcaster, validatorOf }: WithUpcaster,
): Promise<Message> {
  const data = (await upcaster?.convert(message.type, message.data as Json, { from })) ?? null
  const metadata = { ...message.metadata, schema_version: contract.version, upcast_from: from }
  const made = { ...message, data, metadata } as Message
  const validator = validatorOf(message.type)
  if (validator === undefined || validator.check(made)) return made
  throw new TreatyError(
    'UPCAST_FAILED',
    `"${message.type}" of version ${from} does not satisfy version ${contract.version} after its upcast`,
    { hint: 'Correct the upcast, then replay.', findings: validator.findings(made) },
  )
}

function judge(
  message: Message,
  options: ReaderOptions,
  wayOf: (version: string, type: string) => Way,
): Reading {
  const { contract, consumer } = options
  const validator = options.validatorOf(message.type)
  if (!validator) {
    const text = `no loaded contract knows the message type "${message.type}"`
    return failed(contract, 'UNKNOWN_EVENT', { message: text })
  }
  if (!Object.hasOwn(consumer.events, message.type)) return { message, skip: true }
  const version = message.metadata?.schema_version
  const way = version === undefined ? 'as it is' : wayOf(version, message.type)
  if (way === 'upcast') return { message }
  if (way === 'refused') {
    const text = `"${message.type}" was written against version ${version}, and "${consumer.name}" reads ${consumer.accepts}`
    return failed(contract, 'UNSUPPORTED_VERSION', { message: text })
  }
  if (validator.check(message)) return { message }
  return failed(contract, 'SCHEMA_MISMATCH', {
    message: `"${message.type}" does not satisfy contract "${contract.id}"`,
    findings: validator.findings(message),
  })
}

function failed(
  contract: Contract,
  reason: string,
  more: { message: string; findings?: readonly Finding[] },
): Reading {
  return {
    failure: { reason, contract: contract.id, contractVersion: contract.version, ...more },
  }
}

function sameMajor(a: string, b: string): boolean {
  return /^v?(\d+)/.exec(a)?.[1] === /^v?(\d+)/.exec(b)?.[1]
}
