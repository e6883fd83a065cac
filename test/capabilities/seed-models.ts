import { createHmac } from 'node:crypto'

// Small models of what the sample code of seeds 001 and 002 does, each with the defects that its capability names. They are
// here for one purpose: to break the laws that the tests beside this file state.

/** Whatever a caller may say about a request. */
export interface SampleInit {
  readonly method?: string
  readonly headers?: Headers | Readonly<Record<string, string>>
  readonly body?: string
  readonly signal?: AbortSignal
}

/** The REST client: text glued to text, headers spread over the credential, every failure tried again, every answer parsed. */
export function sampleClient(
  config: {
    readonly baseUrl: string
    readonly apiKey: string
    readonly retries?: number
    readonly send?: typeof fetch
  },
  wait: (ms: number) => Promise<void> = async () => undefined,
) {
  const retries = config.retries || 3
  const { send = fetch } = config
  return async (endpoint: string, init: SampleInit = {}): Promise<{ body: unknown }> => {
    for (let retry = 0; ; retry += 1) {
      try {
        const headers = {
          Authorization: `Bearer ${config.apiKey}`,
          'Content-Type': 'application/json',
          ...(init.headers as Record<string, string>),
        }
        const answer = await send(config.baseUrl + endpoint, { ...init, headers })
        if (!answer.ok) throw new Error(`HTTP ${answer.status}`)
        return { body: await answer.json() }
      } catch (error) {
        if (retry === retries) throw error
        await wait(2 ** retry * 1000)
      }
    }
  }
}

/** The webhook handler: signs what it has parsed, compares with ===, looks an id up before it does the work. */
export function sampleWebhooks(options: {
  readonly secret: string
  readonly handle: (body: unknown) => Promise<void>
}) {
  const processed = new Set<string | undefined>()
  return {
    async receive(headers: Readonly<Record<string, string>>, rawBody: Uint8Array): Promise<number> {
      const body: unknown = JSON.parse(Buffer.from(rawBody).toString('utf8'))
      const expected = createHmac('sha256', options.secret)
        .update(JSON.stringify(body))
        .digest('hex')
      if (headers['x-signature'] !== expected) throw new Error('invalid signature')
      const id = headers['x-event-id']
      if (processed.has(id)) return 200
      try {
        await options.handle(body)
        processed.add(id)
      } catch {
        // A retry is planned with the body alone.
      }
      return 200
    },
    sign: (rawBody: Uint8Array, id?: string): Record<string, string> => ({
      'x-signature': createHmac('sha256', options.secret).update(rawBody).digest('hex'),
      ...(id === undefined ? {} : { 'x-event-id': id }),
    }),
  }
}

/** The circuit breaker: counts every throw in a row, lets everybody through when half open, and any result changes it. */
export function sampleBreaker(
  options: { readonly failures: number; readonly openMs: number },
  now: () => number,
) {
  let state: 'closed' | 'open' | 'half_open' = 'closed'
  let failures = 0
  let failedAt = 0
  return {
    get state() {
      return state
    },
    async run<T>(work: () => Promise<T>): Promise<T> {
      if (state === 'open') {
        if (now() - failedAt < options.openMs) throw new Error('circuit breaker is open')
        state = 'half_open'
      }
      try {
        const value = await work()
        failures = 0
        state = 'closed'
        return value
      } catch (error) {
        failures += 1
        failedAt = now()
        if (failures >= options.failures) state = 'open'
        throw error
      }
    },
  }
}

/** The rate limiter: any part of a token admits, waiters look again by themselves, and time may run backwards. */
export function sampleLimiter(
  options: { readonly capacity: number; readonly perSecond: number },
  time: { now(): number; setTimeout(run: () => void, ms: number): unknown },
) {
  let tokens = options.capacity
  let refilledAt = time.now()
  const refill = () => {
    const now = time.now()
    const fresh = ((now - refilledAt) / 1000) * options.perSecond
    tokens = Math.min(options.capacity, tokens + fresh)
    refilledAt = now
  }
  return {
    get tokens() {
      return tokens
    },
    async acquire(): Promise<void> {
      refill()
      while (tokens <= 0) {
        const waitMs = 1000 / options.perSecond
        await new Promise<void>((resolve) => time.setTimeout(resolve, waitMs))
        refill()
      }
      tokens -= 1
    },
  }
}
