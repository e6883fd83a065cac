import type { Stored } from './stored.ts'
import type { Wire, WireMessage } from './wire.ts'

/** What the subject of an acknowledgement tells of a delivered message. */
export interface DeliveryPlace {
  readonly consumer: string
  readonly seq: number
  /** Its number among the consumer's deliveries, from 1, without a gap. */
  readonly consumerSeq: number
  readonly timeNs: bigint
  /** Messages that the consumer has still to deliver. */
  readonly pending: number
}

/** Reads `$JS.ACK.<stream>.<consumer>.<delivered>.<seq>.<consumer seq>.<time>.<pending>`, with or without domain and account before the stream. */
export function readAckSubject(subject: string): DeliveryPlace | undefined {
  const tokens = subject.split('.')
  const at = tokens.length >= 11 ? 4 : 2
  const [, consumer = '', , seq, consumerSeq, time, pending] = tokens.slice(at)
  if (tokens[0] !== '$JS' || tokens[1] !== 'ACK' || seq === undefined || time === undefined) {
    return undefined
  }
  return {
    consumer,
    seq: Number(seq),
    consumerSeq: Number(consumerSeq),
    timeNs: BigInt(time),
    pending: Number(pending),
  }
}

/** A message that a consumer delivered. */
export function deliveredOf(message: WireMessage, place: DeliveryPlace): Stored {
  return {
    subject: message.subject,
    seq: place.seq,
    timeNs: place.timeNs,
    data: message.data,
    headers: () => message.headers(),
  }
}

/** One request to a pull consumer: what it has now, at most `batch`. Fewer where an answer is missing after `waitMs`. */
export async function pull(
  wire: Wire,
  request: {
    readonly stream: string
    readonly consumer: string
    readonly batch: number
    readonly waitMs: number
  },
): Promise<Stored[]> {
  const { stream, consumer, batch, waitMs } = request
  const inbox = wire.inbox()
  const messages: Stored[] = []
  const { promise, resolve } = Promise.withResolvers<void>()
  const unsubscribe = wire.subscribe(inbox, (message) => {
    const place = message.code === 0 ? readAckSubject(message.reply) : undefined
    if (place === undefined) return resolve()
    messages.push(deliveredOf(message, place))
    if (messages.length >= batch) resolve()
  })
  const timer = wire.clock.setTimeout(resolve, waitMs)
  try {
    wire.publish(
      `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`,
      Buffer.from(JSON.stringify({ batch, no_wait: true })),
      { reply: inbox },
    )
    await promise
    return messages
  } finally {
    wire.clock.clearTimeout(timer)
    unsubscribe()
  }
}
