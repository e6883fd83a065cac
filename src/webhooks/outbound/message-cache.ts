import type { StoredMessage } from './sender-records.ts'

const messagesMax = 5000
const charactersMax = 67_108_864

/** The messages that were needed last, so that a message for a thousand endpoints is read and decoded once. */
export class MessageCache {
  readonly #read: (seq: string) => Promise<StoredMessage | undefined>
  readonly #held = new Map<string, { message: StoredMessage; bytes: Uint8Array }>()
  readonly #reading = new Map<string, Promise<StoredMessage | undefined>>()
  #characters = 0

  constructor(read: (seq: string) => Promise<StoredMessage | undefined>) {
    this.#read = read
  }

  put(message: StoredMessage): void {
    if (this.#held.has(message.seq)) return
    this.#held.set(message.seq, { message, bytes: decode(message) })
    this.#characters += message.body.length
    for (const [seq, { message: oldest }] of this.#held) {
      if (this.#held.size <= messagesMax && this.#characters <= charactersMax) return
      this.#held.delete(seq)
      this.#characters -= oldest.body.length
    }
  }

  async get(seq: string): Promise<StoredMessage | undefined> {
    const held = this.#held.get(seq)
    if (held) return held.message
    const reading = this.#reading.get(seq) ?? this.#read(seq)
    this.#reading.set(seq, reading)
    try {
      const message = await reading
      if (message) this.put(message)
      return message
    } finally {
      this.#reading.delete(seq)
    }
  }

  bytesOf(message: StoredMessage): Uint8Array {
    return this.#held.get(message.seq)?.bytes ?? decode(message)
  }
}

/** The body of a message as bytes, from the form in which it is stored. */
export function decode({ body, isBase64 }: Pick<StoredMessage, 'body' | 'isBase64'>): Uint8Array {
  return Buffer.from(body, isBase64 ? 'base64' : 'utf8')
}
