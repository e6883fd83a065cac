import { TreatyError } from '../../core/errors.ts'
import { limits as limitDefaults } from '../../core/limits.ts'
import type { Scheme } from '../scheme.ts'
import type { InboundAnswer, InboundDelivery } from './delivery.ts'
import { type Handshake, handshakesOf } from './handshake.ts'
import type { Inbox } from './inbox.ts'

/** Bounds of what one source may ask for; each has a default or is off. */
export interface SourceLimits {
  /** Largest body in bytes, also after decompression. Default 1 MiB. */
  readonly bodyBytes?: number
  /** Milliseconds within which a body must have come whole. Default 10 000. */
  readonly bodyMs?: number
  /** Milliseconds that `handle` may take. Default 10 000. */
  readonly handleMs?: number
  /** Requests a second on average; absent: not bounded. */
  readonly ratePerSecond?: number
  /** Requests at once. Default: what comes in a second. */
  readonly burst?: number
  /** Media types that are taken, without parameters; absent: all. */
  readonly contentTypes?: readonly string[]
  /** Requests at work at the same time. Default 1000. */
  readonly concurrent?: number
}

/** One neighbour that sends webhooks, and what becomes of them. Exactly one of `event`, `inbox` and `handle`. */
export interface SourceOptions {
  /** `unsigned`: anybody can send; say it only where something else protects the path. */
  readonly verify:
    | {
        readonly scheme: Scheme
        /** All that are valid now; a function is asked for each request, so that a change needs no restart. */
        readonly secrets: readonly string[] | (() => readonly string[])
        readonly toleranceSeconds?: number
        /** The URL as the provider calls it, without query: needed behind a proxy where the scheme signs the URL. */
        readonly publicUrl?: string
      }
    | 'unsigned'
  /** The contract's event that a delivery becomes. A function may choose, or ignore the delivery with undefined. */
  readonly event?: string | ((delivery: InboundDelivery) => string | undefined)
  /** Makes the event's data; default: the body as it is. What throws is quarantined. */
  readonly map?: (delivery: InboundDelivery) => unknown
  /** The producer in whose name it is published. Default: the name of the source. */
  readonly as?: string
  /** Kept in the store and handled from there, with retries: for receivers without a bus. */
  readonly inbox?: Inbox
  /** Synchronous mode: runs before the answer, which it may give. A throw is answered 500, and the provider tries again. */
  readonly handle?: (
    delivery: InboundDelivery,
    context: { readonly signal: AbortSignal },
  ) => Promise<Partial<InboundAnswer> | void>
  /** Default `quarantine`: kept as a dead letter and answered 2xx, for the provider cannot mend it. */
  readonly onInvalid?: 'quarantine' | 'reject'
  /** Default: those of the scheme. */
  readonly handshakes?: readonly Handshake[]
  readonly dedupe?: {
    /**
     * `claims` (default): a claim in the store before anything else, which every broker can do with. `bus`: the broker
     * recognises the id as it stores the message, in one write instead of three; for events, on transports that
     * can, for up to 7 days.
     */
    readonly by?: 'claims' | 'bus'
    /** Default 7 days: at least as long as the provider goes on trying. */
    readonly keepMs?: number
    /** Milliseconds after which the claim of a crashed process is free again. Default 60 000. */
    readonly leaseMs?: number
    /** Another key than the delivery's id. */
    readonly key?: (delivery: InboundDelivery) => string | undefined
  }
  /**
   * Whether the provider's bytes are kept, for `dedupe.keepMs`, where the event is made of them: in an envelope, or by `map`. An
   * event without an envelope holds them anyway. Default true.
   */
  readonly keepBytes?: boolean
  readonly limits?: SourceLimits
  /** Status of a delivery that was taken. Default 200. */
  readonly ackStatus?: 200 | 201 | 202 | 204
}

/** A source with its defaults filled in. */
export interface Source extends SourceOptions {
  readonly name: string
  readonly bounds: Required<Omit<SourceLimits, 'ratePerSecond' | 'burst' | 'contentTypes'>>
  readonly handshakeList: readonly Handshake[]
  readonly keepMs: number
  readonly leaseMs: number
  secrets(): readonly string[]
}

const dayMs = 86_400_000

/** @throws OPTION_INVALID */
export function sourceOf(name: string, options: SourceOptions): Source {
  const ways = [options.event, options.inbox, options.handle].filter((way) => way !== undefined)
  if (ways.length !== 1) {
    throw new TreatyError(
      'OPTION_INVALID',
      `the webhook source ${name} needs one of event, inbox and handle, and has ${ways.length}`,
      { hint: 'Give an event of a contract, an inbox, or a handler for synchronous mode.' },
    )
  }
  if (!/^[A-Za-z0-9][\w.-]{0,99}$/.test(name)) {
    throw new TreatyError('OPTION_INVALID', `"${name}" is no name for a webhook source`, {
      hint: 'Use letters, digits, dots and dashes: it is a part of the path.',
    })
  }
  const { limits = {}, dedupe = {}, verify } = options
  const scheme = verify === 'unsigned' ? undefined : verify.scheme
  return {
    ...options,
    name,
    bounds: {
      bodyBytes: limits.bodyBytes ?? limitDefaults.messageBytesMax,
      bodyMs: limits.bodyMs ?? 10_000,
      handleMs: limits.handleMs ?? 10_000,
      concurrent: limits.concurrent ?? 1000,
    },
    handshakeList: options.handshakes ?? handshakesOf(scheme),
    keepMs: dedupe.keepMs ?? 7 * dayMs,
    leaseMs: dedupe.leaseMs ?? 60_000,
    secrets() {
      if (verify === 'unsigned') return []
      return typeof verify.secrets === 'function' ? verify.secrets() : verify.secrets
    },
  }
}
