import type { Consumer, Contract, EventValidator, Message } from '../contracts/index.ts'
import { decodeEnvelope, versionSatisfies } from '../contracts/index.ts'
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

/**
 * @param validatorOf The reader view of a message type; undefined for a type that no loaded contract knows.
 */
export function createReader(options: {
  readonly contract: Contract
  readonly consumer: Pick<Consumer, 'name' | 'accepts' | 'events' | 'idempotency'>
  readonly validatorOf: (type: string) => EventValidator | undefined
}): Reader {
  const { contract, consumer, validatorOf } = options
  const readable = new Map<string, boolean>()

  function isReadable(version: string): boolean {
    let known = readable.get(version)
    if (known === undefined) {
      known = sameMajor(version, contract.version) || versionSatisfies(version, consumer.accepts)
      if (readable.size < 1000) readable.set(version, known)
    }
    return known
  }
  const failed = (reason: string, message: string, findings: readonly Finding[] = []): Reading => ({
    failure: {
      reason,
      message,
      findings,
      contract: contract.id,
      contractVersion: contract.version,
    },
  })

  return {
    read(delivery) {
      const { record } = delivery
      let message: Message
      try {
        message = decodeEnvelope(
          { body: record.body, headers: record.headers, contentType: record.contentType },
          contract.envelope,
        )
      } catch (error) {
        return failed(
          'UNDECODABLE',
          errorMessage(error),
          isTreatyError(error) ? error.findings : [],
        )
      }
      const validator = validatorOf(message.type)
      if (!validator) {
        return failed(
          'UNKNOWN_EVENT',
          `no loaded contract knows the message type "${message.type}"`,
        )
      }
      if (!Object.hasOwn(consumer.events, message.type)) return { message, skip: true }
      const version = message.metadata?.schema_version
      if (version !== undefined && !isReadable(version)) {
        return failed(
          'UNSUPPORTED_VERSION',
          `"${message.type}" was written against version ${version}; "${consumer.name}" reads ${consumer.accepts}`,
        )
      }
      if (!validator.check(message)) {
        return failed(
          'SCHEMA_MISMATCH',
          `"${message.type}" does not satisfy contract "${contract.id}"`,
          validator.findings(message),
        )
      }
      return { message }
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

function sameMajor(a: string, b: string): boolean {
  return /^v?(\d+)/.exec(a)?.[1] === /^v?(\d+)/.exec(b)?.[1]
}
