import type { Json, JsonObject } from '../../core/json.ts'
import type { Store, StoredRecord } from '../../store/index.ts'
import { asJson, asRecord, type EndpointRecord } from './endpoint.ts'
import type { Row } from './lane.ts'
import type { Attempt } from './sender-events.ts'

/** A message as it lies in the store: never changed. */
export interface StoredMessage {
  /** Orders messages by time; their key. */
  readonly seq: string
  /** What receivers know it by. */
  readonly id: string
  readonly type: string
  readonly at: number
  readonly orderKey?: string
  /** Text, or base64 where the bytes are no UTF-8. */
  readonly body: string
  readonly isBase64?: boolean
  readonly contentType: string
  /** What the body stands for where that is too large to be sent. */
  readonly full?: string
  /** Endpoints that it was meant for when it was sent. */
  readonly targets: readonly string[]
  /** Endpoints whose filter failed on it: there is a line in their log. */
  readonly unjudged?: readonly string[]
  readonly source?: string
  readonly correlationId?: string
  readonly metadata?: JsonObject
  /** The body was given as bytes, and is not `{ type, timestamp, data }`. */
  readonly isRaw?: boolean
}

/** How an endpoint has fared since it last took something. */
export interface Health {
  readonly failingSince?: number
  readonly failures: number
  /** The greatest share that was told of. */
  readonly alerted: number
}

const pageSize = 500

/** Everything that a sender keeps, on six collections of the store. */
export class SenderRecords {
  readonly #store: Store
  readonly #at: Readonly<
    Record<'endpoints' | 'messages' | 'ids' | 'pending' | 'attempts' | 'health' | 'news', string>
  >
  readonly lockName: string
  readonly #versionCounter: string

  constructor(store: Store, name: string) {
    this.#store = store
    const collection = (part: string) => `webhook.out.${name}.${part}`
    this.#at = {
      endpoints: collection('endpoints'),
      messages: collection('messages'),
      ids: collection('ids'),
      pending: collection('pending'),
      attempts: collection('attempts'),
      health: collection('health'),
      news: collection('news'),
    }
    this.lockName = collection('dispatch')
    this.#versionCounter = collection('version')
  }

  get locks() {
    return this.#store.locks
  }

  async endpoints(): Promise<readonly EndpointRecord[]> {
    const found: EndpointRecord[] = []
    for await (const record of this.#all(this.#at.endpoints)) found.push(asRecord(record.value))
    return found
  }
  async endpoint(id: string): Promise<{ value: EndpointRecord; revision: number } | undefined> {
    const record = await this.#store.records.get(this.#at.endpoints, id)
    return record && { value: asRecord(record.value), revision: record.revision }
  }
  /** False: another write came first. */
  async putEndpoint(endpoint: EndpointRecord, expect: number): Promise<boolean> {
    const { records, counters } = this.#store
    const put = await records.put(this.#at.endpoints, endpoint.id, asJson(endpoint), { expect })
    if (put) await counters.add({ [this.#versionCounter]: 1 })
    return put !== undefined
  }
  async deleteEndpoint(id: string): Promise<boolean> {
    const isDeleted = await this.#store.records.delete(this.#at.endpoints, id)
    await this.#store.counters.add({ [this.#versionCounter]: 1 })
    for await (const { key } of this.#all(this.#at.pending, `${id}/`)) await this.deleteRow(key)
    await this.#store.records.delete(this.#at.health, id)
    return isDeleted
  }
  /** Grows whenever an endpoint is changed, by any process. */
  async endpointsVersion(): Promise<number> {
    const counts = await this.#store.counters.read(this.#versionCounter)
    return counts[this.#versionCounter] ?? 0
  }

  /** Claims an id for a sequence: the sequence that has it from now on, which is another one for a duplicate. */
  async claimId(id: string, seq: string): Promise<string> {
    const { records } = this.#store
    const put = await records.put(this.#at.ids, id, { seq }, { expect: 0 })
    if (put) return seq
    const known = await records.get(this.#at.ids, id)
    return (known?.value as { seq: string } | undefined)?.seq ?? seq
  }
  async seqOf(id: string): Promise<string | undefined> {
    const known = await this.#store.records.get(this.#at.ids, id)
    if (known) return (known.value as { seq: string }).seq
    return (await this.message(id)) && id
  }
  async putMessage(message: StoredMessage): Promise<void> {
    await this.#store.records.put(this.#at.messages, message.seq, message as unknown as Json)
  }
  async message(seq: string): Promise<StoredMessage | undefined> {
    const record = await this.#store.records.get(this.#at.messages, seq)
    return record?.value as unknown as StoredMessage | undefined
  }
  async *messages(after = ''): AsyncGenerator<StoredMessage> {
    for await (const record of this.#all(this.#at.messages, '', after)) {
      yield record.value as unknown as StoredMessage
    }
  }
  /** The message, its id and its log. */
  async forget(message: StoredMessage): Promise<void> {
    const { records } = this.#store
    for (const endpoint of [...message.targets, ...(message.unjudged ?? [])]) {
      const prefix = `${endpoint}/${message.seq}/`
      for await (const { key } of this.#all(this.#at.attempts, prefix)) {
        await records.delete(this.#at.attempts, key)
      }
    }
    await records.delete(this.#at.ids, message.id)
    await records.delete(this.#at.messages, message.seq)
  }

  async putRow(row: Row): Promise<void> {
    const { key, ...value } = row
    await this.#store.records.put(this.#at.pending, key, value)
  }
  async deleteRow(key: string): Promise<void> {
    await this.#store.records.delete(this.#at.pending, key)
  }
  async rows(endpointId: string, after: string, limit: number): Promise<readonly Row[]> {
    const prefix = `${endpointId}/`
    const found = await this.#store.records.list(this.#at.pending, { prefix, after, limit })
    return found.map(({ key, value }) => ({ ...(value as unknown as Omit<Row, 'key'>), key }))
  }
  async hasRow(key: string): Promise<boolean> {
    return (await this.#store.records.get(this.#at.pending, key)) !== undefined
  }

  async log(attempt: Attempt, seq: string): Promise<void> {
    const key = `${attempt.endpointId}/${seq}/${attempt.id}`
    await this.#store.records.put(this.#at.attempts, key, asJson(attempt))
  }
  /** Oldest first, those of one message or all of an endpoint. */
  async attempts(
    endpointId: string,
    options: { seq?: string; after?: string; limit: number },
  ): Promise<readonly { key: string; attempt: Attempt }[]> {
    const { seq, after = '', limit } = options
    const prefix = seq === undefined ? `${endpointId}/` : `${endpointId}/${seq}/`
    const found = await this.#store.records.list(this.#at.attempts, { prefix, after, limit })
    return found.map(({ key, value }) => ({ key, attempt: value as unknown as Attempt }))
  }

  async health(endpointId: string): Promise<Health> {
    const record = await this.#store.records.get(this.#at.health, endpointId)
    return (record?.value as unknown as Health | undefined) ?? { failures: 0, alerted: 0 }
  }
  async putHealth(endpointId: string, health: Health): Promise<void> {
    await this.#store.records.put(this.#at.health, endpointId, asJson(health))
  }

  /** Tells the process that delivers of work, or of a change, at an endpoint. */
  async announce(endpointIds: readonly string[]): Promise<void> {
    await Promise.all(endpointIds.map((id) => this.#store.records.put(this.#at.news, id, true)))
  }
  /** What was announced since the last call. */
  async takeNews(): Promise<readonly string[]> {
    const { records } = this.#store
    const news = await records.list(this.#at.news, { limit: 1000 })
    const taken = await Promise.all(
      news.map(async ({ key, revision }) => {
        // What was announced again in between stays, and is looked at once more.
        await records.delete(this.#at.news, key, { expect: revision })
        return key
      }),
    )
    return taken
  }

  async *#all(collection: string, prefix = '', from = ''): AsyncGenerator<StoredRecord> {
    let after = from
    for (;;) {
      const page = await this.#store.records.list(collection, { prefix, after, limit: pageSize })
      yield* page
      const last = page.at(-1)
      if (last === undefined || page.length < pageSize) return
      after = last.key
    }
  }
}
