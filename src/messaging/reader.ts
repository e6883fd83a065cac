import type { Consumer, Contract, EventValidator, Message } from '../contracts/index.ts'
import { decodeEnvelope, satisfies } from '../contracts/index.ts'
import { errorMessage, isTreatyError } from '../core/errors.ts'
import type { Finding } from '../core/finding.ts'
import { valueAt } from '../core/json.ts'
import type { Delivery, Failure } from './transport.ts'

/** A delivery whose message may be handled, or the reason why it never can be. */
export type Reading =
  | { readonly message: Message; readonly skip?: boolean }
  | { readonly failure: Failure }

/** Turns deliveries of one consumer into messages: decodes, checks the version, validates the reader view. */
export interface Reader {
  read(delivery: Delivery): Reading
  /** The idempotency key of a message; undefined where the contract asks for none, or the message has none. */
  idempotencyKey(message: Message): string | undefined
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
  const readable = new Map<string, boolean>()

  function isReadable(version: string): boolean {
    const known = readable.get(version)
    if (known !== undefined) return known
    const verdict = sameMajor(version, contract.version) || satisfies(version, consumer.accepts)
    if (readable.size < versionsMax) readable.set(version, verdict)
    return verdict
  }

  return {
    read(delivery) {
      const { record } = delivery
      let message: Message
      try {
        message = decodeEnvelope(record, contract.envelope)
      } catch (error) {
        const findings = isTreatyError(error) ? error.findings : []
        return failed(contract, 'UNDECODABLE', { message: errorMessage(error), findings })
      }
      return judge(message, options, isReadable)
    },

    idempotencyKey(message) {
      const path = consumer.idempotency?.key
      if (path === undefined) return undefined
      if (path === 'id') return message.id
      const value = valueAt(message, path)
      if (value === undefined || value === null) return undefined
      return typeof value === 'string' ? value : JSON.stringify(value)
    },
  }
}

function judge(
  message: Message,
  options: ReaderOptions,
  isReadable: (version: string) => boolean,
): Reading {
  const { contract, consumer } = options
  const validator = options.validatorOf(message.type)
  if (!validator) {
    const text = `no loaded contract knows the message type "${message.type}"`
    return failed(contract, 'UNKNOWN_EVENT', { message: text })
  }
  if (!Object.hasOwn(consumer.events, message.type)) return { message, skip: true }
  const version = message.metadata?.schema_version
  if (version !== undefined && !isReadable(version)) {
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
