import type { Clock } from '../../core/clock.ts'
import { TreatyError } from '../../core/errors.ts'
import { createIdSource } from '../../core/ids.ts'
import type { Egress } from './egress.ts'
import { egressDenied } from './egress.ts'
import {
  checkEndpoint,
  type Endpoint,
  type EndpointOptions,
  type EndpointRecord,
  type EndpointStatus,
  fieldsOf,
  secretsAt,
  viewOf,
} from './endpoint.ts'
import { newSecret, type SecretBox } from './sealing.ts'
import { isSubscribed } from './selection.ts'
import type { SenderRecords } from './sender-records.ts'

/** What the directory of endpoints works on. */
export interface DirectoryOptions {
  readonly records: SenderRecords
  readonly egress: Egress
  readonly box: SecretBox
  readonly clock: Clock
  /** How long a secret that was replaced goes on signing beside the new one. */
  readonly overlapMs: number
  /** Whether new endpoints must prove themselves first. */
  readonly startsAs: EndpointStatus
  readonly maxEndpoints: number
  /** Told of each change made here. */
  readonly onChange: (id: string) => Promise<void>
}

/** Why an endpoint is disabled that its manager names no more. */
export const withdrawn = 'withdrawn'
/** Milliseconds for which what other processes changed may go unnoticed. */
const staleMs = 1000

/** The endpoints: kept in the store, held in memory. */
export class Directory {
  readonly #options: DirectoryOptions
  readonly #nextId: () => string
  #byId = new Map<string, EndpointRecord>()
  #byType = new Map<string, readonly EndpointRecord[]>()
  #version = -1
  #checkedAt = Number.NEGATIVE_INFINITY
  #refreshing: Promise<void> | undefined

  constructor(options: DirectoryOptions) {
    this.#options = options
    this.#nextId = createIdSource(options.clock)
  }

  /** @throws OPTION_INVALID · WEBHOOK_EGRESS_DENIED · WEBHOOK_FILTER_INVALID · WEBHOOK_ENDPOINT_EXISTS */
  async add(options: EndpointOptions): Promise<Endpoint & { readonly secret: string }> {
    checkEndpoint(options)
    await this.#checkUrl(options.url)
    await this.refresh()
    const { records, clock, box, startsAs, maxEndpoints } = this.#options
    if (this.#byId.size >= maxEndpoints) {
      throw new TreatyError('OPTION_INVALID', `there are ${maxEndpoints} endpoints already`, {
        hint: 'Remove some, or raise maxEndpoints.',
      })
    }
    const secret = options.secret ?? newSecret(options.algorithm ?? 'hmac-sha256')
    const record: EndpointRecord = {
      id: options.id ?? `ep_${this.#nextId()}`,
      ...fieldsOf(options),
      status: startsAs,
      createdAt: clock.now(),
      secrets: [{ secret: box.seal(secret) }],
    }
    if (!(await records.putEndpoint(record, 0))) {
      throw new TreatyError(
        'WEBHOOK_ENDPOINT_EXISTS',
        `there is an endpoint ${record.id} already`,
        {
          details: { id: record.id },
        },
      )
    }
    await this.#changed(record.id)
    return { ...viewOf(record, clock.now()), secret }
  }

  /** Adds the endpoint, or makes it what the options say; a new secret begins an overlap. @throws as adding does */
  async put(options: EndpointOptions & { readonly id: string }): Promise<Endpoint> {
    const { id, secret } = options
    if (!(await this.#options.records.endpoint(id))) {
      const { secret: _secret, ...added } = await this.add(options)
      return added
    }
    checkEndpoint(options)
    await this.#checkUrl(options.url)
    const put = await this.#modify(id, (record) => {
      const { status, disabledReason, createdAt, secrets } = record
      const isWithdrawn = disabledReason === withdrawn
      const next = { id, ...fieldsOf(options), createdAt, secrets }
      const standing = this.#standing({ url: options.url, before: record.url, status })
      return isWithdrawn || disabledReason === undefined
        ? { ...next, status: isWithdrawn ? this.#options.startsAs : standing }
        : { ...next, status: standing, disabledReason }
    })
    if (secret === undefined || this.#isPresentSecret(id, secret)) return put
    await this.rotate(id, secret)
    return (await this.get(id)) ?? put
  }

  async list(): Promise<readonly Endpoint[]> {
    await this.refresh()
    return [...this.#byId.values()].map((record) => viewOf(record, this.#options.clock.now()))
  }

  async get(id: string): Promise<Endpoint | undefined> {
    await this.refresh()
    const record = this.#byId.get(id)
    return record && viewOf(record, this.#options.clock.now())
  }

  /** @throws WEBHOOK_ENDPOINT_NOT_FOUND and the codes of adding */
  async update(
    id: string,
    change: Partial<Omit<EndpointOptions, 'id' | 'secret' | 'algorithm'>>,
  ): Promise<Endpoint> {
    checkEndpoint(change)
    if (change.url !== undefined) await this.#checkUrl(change.url)
    return this.#modify(id, (record) => {
      const next: EndpointRecord = {
        ...record,
        ...(change as Partial<EndpointRecord>),
        status: this.#standing({ ...record, url: change.url ?? record.url, before: record.url }),
      }
      if (next.filter !== '') return next
      const { filter: _none, ...unfiltered } = next
      return unfiltered
    })
  }

  /** Another URL has proved nothing yet. */
  #standing(at: { url: string; before: string; status: EndpointStatus }): EndpointStatus {
    const { startsAs } = this.#options
    return at.url !== at.before && startsAs === 'unverified' ? startsAs : at.status
  }

  #isPresentSecret(id: string, secret: string): boolean {
    const [present] = this.#byId.get(id)?.secrets ?? []
    return present !== undefined && this.#options.box.open(present.secret) === secret
  }

  async setStatus(id: string, status: EndpointStatus, reason?: string): Promise<Endpoint> {
    return this.#modify(id, ({ disabledReason: _old, ...record }) => ({
      ...record,
      status,
      ...(reason === undefined ? {} : { disabledReason: reason }),
    }))
  }

  /** A new secret; the one before goes on signing for the overlap. @throws WEBHOOK_ENDPOINT_NOT_FOUND */
  async rotate(id: string, given?: string): Promise<string> {
    if (given !== undefined) checkEndpoint({ secret: given })
    const { box, clock, overlapMs } = this.#options
    let secret = given
    await this.#modify(id, (record) => {
      const now = clock.now()
      const [present, ...older] = secretsAt(record, now)
      const isEd25519 = present !== undefined && box.open(present.secret).startsWith('whsk_')
      secret ??= newSecret(isEd25519 ? 'ed25519' : 'hmac-sha256')
      const previous = present ? [{ ...present, until: now + overlapMs }] : []
      return { ...record, secrets: [{ secret: box.seal(secret) }, ...previous, ...older] }
    })
    return secret ?? ''
  }

  /** The secrets that sign now, revealed, the present one first. */
  secretsOf(record: EndpointRecord): readonly string[] {
    const { box, clock } = this.#options
    return secretsAt(record, clock.now()).map(({ secret }) => box.open(secret))
  }

  /** False: not there. */
  async remove(id: string): Promise<boolean> {
    const isRemoved = await this.#options.records.deleteEndpoint(id)
    await this.#changed(id)
    return isRemoved
  }

  /** As it is in memory. */
  known(id: string): EndpointRecord | undefined {
    return this.#byId.get(id)
  }

  /** The active endpoints that subscribe to a type, whatever their filters say. */
  subscribers(type: string): readonly EndpointRecord[] {
    const cached = this.#byType.get(type)
    if (cached) return cached
    const found = [...this.#byId.values()].filter(
      ({ status, events }) => status === 'active' && isSubscribed(events, type),
    )
    if (this.#byType.size > 10_000) this.#byType.clear()
    this.#byType.set(type, found)
    return found
  }

  /** Reads what other processes have changed, at most once a second unless forced. */
  async refresh(isForced = false): Promise<void> {
    const { clock, records } = this.#options
    if (!isForced && clock.monotonic() - this.#checkedAt < staleMs) return
    this.#refreshing ??= (async () => {
      const version = await records.endpointsVersion()
      if (version !== this.#version) {
        const all = await records.endpoints()
        this.#byId = new Map(all.map((record) => [record.id, record]))
        this.#byType.clear()
        this.#version = version
      }
      this.#checkedAt = clock.monotonic()
    })().finally(() => {
      this.#refreshing = undefined
    })
    await this.#refreshing
  }

  async #checkUrl(url: string): Promise<void> {
    const verdict = await this.#options.egress.check(url)
    if (!verdict.allowed) throw egressDenied(verdict.reason)
  }

  async #modify(id: string, change: (record: EndpointRecord) => EndpointRecord): Promise<Endpoint> {
    const { records, clock } = this.#options
    for (;;) {
      const present = await records.endpoint(id)
      if (!present) throw endpointNotFound(id)
      const next = change(present.value)
      if (JSON.stringify(next) === JSON.stringify(present.value)) return viewOf(next, clock.now())
      if (!(await records.putEndpoint(next, present.revision))) continue
      await this.#changed(id)
      return viewOf(next, clock.now())
    }
  }

  async #changed(id: string): Promise<void> {
    await this.refresh(true)
    await this.#options.onChange(id)
  }
}

/** The error for an id that no endpoint has: WEBHOOK_ENDPOINT_NOT_FOUND. */
export function endpointNotFound(id: string): TreatyError {
  return new TreatyError('WEBHOOK_ENDPOINT_NOT_FOUND', `there is no endpoint ${id}`, {
    hint: 'List them with treaty webhook endpoint list.',
    details: { id },
  })
}
