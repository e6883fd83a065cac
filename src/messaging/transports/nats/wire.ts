import { readFileSync } from 'node:fs'
import type { Authenticator, Msg, NatsConnection, PublishOptions } from '@nats-io/transport-node'
import type { Clock } from '../../../core/clock.ts'
import { TreatyError } from '../../../core/errors.ts'
import { loadNatsDriver, type NatsDriver } from './driver.ts'
import { type ApiError, asTreatyError, JetStreamError, noJetStream } from './errors.ts'
import type { NatsPlace } from './url.ts'

/** A message as it came, its headers not yet read. */
export interface WireMessage {
  readonly subject: string
  readonly reply: string
  readonly data: Uint8Array
  /** Status of an answer without content: 404, 408, 503 …; 0: none. */
  readonly code: number
  readonly status: string
  header(name: string): string | undefined
  headers(): Iterable<readonly [name: string, value: string]>
}

/** The connection, as far as the rest needs it. The only place that knows the client. */
export interface Wire {
  /** Major and minor of the server. */
  readonly version: readonly [number, number]
  /** Bytes of one message at most, headers and all. */
  readonly payloadMax: number
  readonly isUp: boolean
  readonly clock: Clock
  publish(
    subject: string,
    data: Uint8Array,
    more?: { readonly headers?: Uint8Array; readonly reply?: string },
  ): void
  /** @throws BROKER_UNREACHABLE, BROKER_ACCESS_DENIED */
  request(
    subject: string,
    data?: Uint8Array | string,
    options?: { readonly headers?: Uint8Array; readonly timeoutMs?: number },
  ): Promise<WireMessage>
  /** A request to JetStream's API. @throws JetStreamError */
  api<Answer>(name: string, request?: unknown, timeoutMs?: number): Promise<Answer>
  subscribe(subject: string, take: (message: WireMessage) => void): () => void
  /** A subject that nobody else listens to; more of them begin with it and a dot. */
  inbox(): string
  /** True once connected; false: still not after `timeoutMs`. */
  untilUp(timeoutMs: number): Promise<boolean>
  onChange(listener: (isUp: boolean) => void): () => void
  close(): Promise<void>
}

const requestMs = 5000
const connectMs = 5000
/** Older servers have no direct reads, whose answers the ledger needs. */
const versionMin = [2, 9] as const

/** What watches the connection. */
interface Watch {
  readonly listeners: Set<(isUp: boolean) => void>
  isUp: boolean
}

/**
 * Connects, and connects again by itself for as long as it is not closed.
 *
 * @throws DRIVER_MISSING, BROKER_UNREACHABLE, BROKER_ACCESS_DENIED, BROKER_TLS_FAILED, BROKER_TOO_OLD, BROKER_UNSAFE
 */
export async function openWire(
  place: NatsPlace,
  options: { readonly clock: Clock; readonly onError: (error: TreatyError) => void },
): Promise<Wire> {
  const driver = await loadNatsDriver()
  let connection: NatsConnection
  try {
    connection = await driver.connect({
      servers: [...place.servers],
      name: 'treaty',
      timeout: connectMs,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 250,
      reconnectJitter: 100,
      pingInterval: 2000,
      maxPingOut: 2,
      noAsyncTraces: true,
      ignoreAuthErrorAbort: true,
      ...credentials(driver, place),
      ...tls(place),
    })
  } catch (error) {
    throw asTreatyError(error, `at ${place.servers.join(', ')} cannot be reached`)
  }
  const watch: Watch = { listeners: new Set(), isUp: true }
  void follow(connection, watch, options.onError)
  const wire = createWire(connection, watch, options.clock)
  try {
    await requireServer(wire)
  } catch (error) {
    await connection.close()
    throw error
  }
  return wire
}

async function requireServer(wire: Wire): Promise<void> {
  const [major, minor] = wire.version
  if (major < versionMin[0] || (major === versionMin[0] && minor < versionMin[1])) {
    throw new TreatyError(
      'BROKER_TOO_OLD',
      `the NATS server is version ${major}.${minor}, and 2.9 is the oldest that will do`,
      { hint: 'Upgrade nats-server; 2.12 or newer is the best.' },
    )
  }
  try {
    await wire.api('INFO')
  } catch (error) {
    if (error instanceof TreatyError && error.code !== 'BROKER_UNREACHABLE') throw error
    if (error instanceof JetStreamError) throw asTreatyError(error, 'refused')
    throw noJetStream(error)
  }
}

function credentials(driver: NatsDriver, place: NatsPlace) {
  const { user, password, token, creds, nkey } = place
  const bytes = (text: string) => new TextEncoder().encode(text)
  let authenticator: Authenticator | undefined
  if (creds !== undefined) {
    // A secret comes without its last line break, and the client wants one after the last line.
    const content = creds.includes('-----BEGIN') ? bytes(`${creds}\n`) : readFile('creds', creds)
    authenticator = driver.credsAuthenticator(content)
  }
  if (nkey !== undefined) {
    const seed = /^S[A-Z2-7]{20,}$/.test(nkey.trim())
      ? nkey.trim()
      : readFile('nkey', nkey).toString().trim()
    authenticator = driver.nkeyAuthenticator(bytes(seed))
  }
  return {
    ...(authenticator === undefined ? {} : { authenticator }),
    ...(token === undefined ? {} : { token }),
    ...(user === undefined ? {} : { user, pass: password ?? '' }),
  }
}

function readFile(option: string, path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new TreatyError('BROKER_URL_INVALID', `the file of the option ${option} cannot be read`, {
      hint: `Check the path in ?${option}=FILE.`,
      details: { option },
      cause,
    })
  }
}

function tls({ tls: isAsked, ca, cert, key, tlsFirst, verify }: NatsPlace) {
  if (!isAsked && ca === undefined && cert === undefined && verify) return {}
  return {
    tls: {
      ...(ca === undefined ? {} : { caFile: ca }),
      ...(cert === undefined ? {} : { certFile: cert }),
      ...(key === undefined ? {} : { keyFile: key }),
      ...(tlsFirst === true ? { handshakeFirst: true } : {}),
      ...(verify ? {} : { rejectUnauthorized: false }),
    },
  }
}

/** Tells the listeners of every loss and return of the connection. */
async function follow(
  connection: NatsConnection,
  watch: Watch,
  onError: (error: TreatyError) => void,
): Promise<void> {
  const turn = (isUp: boolean) => {
    if (watch.isUp === isUp) return
    watch.isUp = isUp
    for (const listener of watch.listeners) listener(isUp)
  }
  for await (const status of connection.status()) {
    if (status.type === 'disconnect') {
      turn(false)
      onError(
        new TreatyError('BROKER_UNREACHABLE', 'the connection to NATS was lost', {
          hint: 'Nothing needs doing: Treaty goes on trying to connect.',
        }),
      )
    } else if (status.type === 'reconnect') turn(true)
    else if (status.type === 'error') onError(asTreatyError(status.error, 'reported a problem'))
  }
  turn(false)
}

function createWire(connection: NatsConnection, watch: Watch, clock: Clock): Wire {
  const [major = 0, minor = 0] = (connection.info?.version ?? '').split('.').map(Number)
  let inboxes = 0
  const base = `_INBOX.${crypto.randomUUID().replaceAll('-', '')}`
  const withHeaders = (headers: Uint8Array | undefined) =>
    headers === undefined
      ? {}
      : { headers: { encode: () => headers } as unknown as PublishOptions['headers'] }
  const wire: Wire = {
    version: [major, minor],
    clock,
    get payloadMax() {
      return connection.info?.max_payload ?? 1_048_576
    },
    get isUp() {
      return watch.isUp
    },
    publish(subject, data, { headers, reply } = {}) {
      connection.publish(subject, data, {
        ...(reply === undefined ? {} : { reply }),
        ...withHeaders(headers),
      } as PublishOptions)
    },
    async request(subject, data, { headers, timeoutMs = requestMs } = {}) {
      try {
        const options = { timeout: timeoutMs, ...withHeaders(headers) }
        return messageOf(await connection.request(subject, data, options as { timeout: number }))
      } catch (error) {
        throw asTreatyError(error, `did not answer to ${subject}`)
      }
    },
    async api<Answer>(name: string, request?: unknown, timeoutMs?: number) {
      const text = request === undefined ? '' : JSON.stringify(request)
      const more = timeoutMs === undefined ? {} : { timeoutMs }
      const { data } = await wire.request(`$JS.API.${name}`, text, more)
      const answer = JSON.parse(Buffer.from(data).toString()) as Answer & { error?: ApiError }
      if (answer.error !== undefined) throw new JetStreamError(answer.error, name)
      return answer
    },
    subscribe(subject, take) {
      const subscription = connection.subscribe(subject, {
        callback: (error, message) => {
          if (error === null) take(messageOf(message))
        },
      })
      return () => subscription.unsubscribe()
    },
    inbox() {
      inboxes += 1
      return `${base}.${inboxes.toString(36)}`
    },
    untilUp: (timeoutMs) => untilUp(watch, clock, timeoutMs),
    onChange(listener) {
      watch.listeners.add(listener)
      return () => watch.listeners.delete(listener)
    },
    close: () => connection.close(),
  }
  return wire
}

function untilUp(watch: Watch, clock: Clock, timeoutMs: number): Promise<boolean> {
  if (watch.isUp) return Promise.resolve(true)
  return new Promise((resolve) => {
    const done = (isUp: boolean) => {
      watch.listeners.delete(done)
      clock.clearTimeout(timer)
      resolve(isUp)
    }
    const timer = clock.setTimeout(() => done(watch.isUp), timeoutMs)
    watch.listeners.add(done)
  })
}

function messageOf(message: Msg): WireMessage {
  return {
    subject: message.subject,
    get reply() {
      return message.reply ?? ''
    },
    data: message.data,
    get code() {
      return message.headers?.code ?? 0
    },
    get status() {
      return message.headers?.description ?? ''
    },
    header(name) {
      const found = message.headers?.get(name)
      return found === undefined || found === '' ? undefined : found
    },
    *headers() {
      for (const [name, values] of message.headers ?? []) yield [name, values[0] ?? '']
    },
  }
}
