import { createHash, randomUUID } from 'node:crypto'
import { type Clock, delay } from '../../core/clock.ts'
import { errorMessage, isTreatyError, TreatyError } from '../../core/errors.ts'
import { isJsonObject, type Json } from '../../core/json.ts'
import type { Lock, Store } from '../../store/index.ts'
import { createSeal, type Seal } from './sealed.ts'

/** An access token and what is known of it. */
export interface Token {
  readonly value: string
  /** Epoch milliseconds; undefined: it lasts until it is refused. */
  readonly expiresAt: number | undefined
  readonly refreshToken: string | undefined
}

/** The endpoint refuses the credential for good. */
export class CredentialRefused extends Error {}

/** How a {@link TokenSource} gets and shares its tokens. */
export interface TokenSourceOptions {
  /** Name in messages and in the store. */
  readonly name: string
  /** Asks the endpoint; `last` is the token before, with its refresh token. Throws {@link CredentialRefused} when asking again is pointless. */
  fetch(last: Token | undefined): Promise<Token>
  /** Everything that the credential is made of: another secret is another credential. */
  readonly secrets: readonly string[]
  readonly clock: Clock
  /** Shares tokens between processes, sealed; one of them asks at a time. */
  readonly store?: Store | undefined
  /** A token is renewed this long before it ends; default 60 000. */
  readonly skewMs?: number
  /** After a failure nobody asks for this long; default 30 000. */
  readonly cooldownMs?: number
}

const collection = 'http-credentials'
const leaseMs = 30_000
const pollMs = 50

/**
 * Tokens for one credential (rules O1 to O3). However many calls need one, one of them asks: within a process they wait for
 * the same promise, between processes for the store's lock. A token is kept in the store before it is first used, so that a
 * rotated refresh token survives a crash.
 */
export class TokenSource {
  readonly #options: TokenSourceOptions
  readonly #key: string
  readonly #seal: Seal
  readonly #skewMs: number
  readonly #holder = randomUUID()
  #token: Token | undefined
  /** Fetched and not yet in the store. */
  #unkept: Token | undefined
  #flight: Promise<Token> | undefined
  #failure: { readonly error: TreatyError; readonly until: number } | undefined

  constructor(options: TokenSourceOptions) {
    this.#options = options
    this.#skewMs = options.skewMs ?? 60_000
    const digest = createHash('sha256').update(JSON.stringify(options.secrets)).digest('hex')
    this.#key = `${options.name.slice(0, 400)}:${digest.slice(0, 32)}`
    this.#seal = createSeal(options.secrets.join('\n'), this.#key)
  }

  /** What must not be printed. */
  secrets(): readonly string[] {
    const known = [this.#token?.value, this.#token?.refreshToken].filter(
      (each) => each !== undefined,
    )
    return [...this.#options.secrets, ...known]
  }

  /** A token that is not about to end. Without waiting where there is one. */
  get(): Token | Promise<Token> {
    const token = this.#token
    return token !== undefined && this.#isFresh(token) ? token : this.#once(undefined)
  }

  /** Another token than the one that was refused. */
  renew(refused: string): Promise<Token> {
    const token = this.#token
    if (token !== undefined && token.value !== refused && this.#isFresh(token)) {
      return Promise.resolve(token)
    }
    return this.#once(refused)
  }

  #isFresh(token: Token): boolean {
    if (token.expiresAt === undefined) return true
    return this.#options.clock.now() < token.expiresAt - this.#skewMs
  }

  #once(refused: string | undefined): Promise<Token> {
    const { clock, cooldownMs = 30_000 } = this.#options
    if (this.#flight !== undefined) return this.#flight
    const failure = this.#failure
    // A copy each: callers note their own number of attempts on it.
    if (failure && clock.monotonic() < failure.until) return Promise.reject(copyOf(failure.error))
    this.#flight = this.#fetch(refused)
      .then((token) => {
        this.#token = token
        this.#failure = undefined
        return token
      })
      .catch((cause: unknown) => {
        const error =
          isTreatyError(cause) && cause.code.startsWith('CREDENTIAL')
            ? cause
            : this.#unavailable(cause)
        const isFinal = error.code === 'CREDENTIAL_REFUSED'
        const until = isFinal ? Number.POSITIVE_INFINITY : clock.monotonic() + cooldownMs
        this.#failure = { error, until }
        throw copyOf(error)
      })
      .finally(() => {
        this.#flight = undefined
      })
    return this.#flight
  }

  async #fetch(refused: string | undefined): Promise<Token> {
    const { store } = this.#options
    if (store === undefined) return await this.#ask(this.#token)
    try {
      return await this.#fetchShared(store, refused)
    } catch (error) {
      // Without a refresh token nothing is lost by asking alone; with one, two that ask could lose it.
      const isStore = isTreatyError(error) && error.code.startsWith('STORE_')
      if (!isStore || this.#token?.refreshToken !== undefined) throw error
      return this.#unkept ?? (await this.#ask(this.#token))
    }
  }

  async #fetchShared(store: Store, refused: string | undefined): Promise<Token> {
    const { clock } = this.#options
    const until = clock.monotonic() + leaseMs
    for (;;) {
      const kept = await this.#readKept(store)
      if (kept && kept.value !== refused && this.#isFresh(kept)) return kept
      const lock = await store.locks.acquire(`${collection}:${this.#key}`, this.#holder, leaseMs)
      if (lock) return await this.#askLocked(store, lock, refused)
      if (clock.monotonic() >= until) throw new Error('another process holds the lock too long')
      await delay(clock, pollMs)
    }
  }

  async #askLocked(store: Store, lock: Lock, refused: string | undefined): Promise<Token> {
    try {
      // Somebody may have asked between our look and our lock.
      const kept = (await this.#readKept(store)) ?? this.#token
      if (kept && kept.value !== refused && this.#isFresh(kept)) return kept
      const token = this.#unkept ?? (await this.#ask(kept))
      this.#unkept = token
      await store.records.put(collection, this.#key, {
        token: this.#seal.close(JSON.stringify(token)),
      })
      this.#unkept = undefined
      return token
    } catch (error) {
      if (isTreatyError(error) && error.code === 'CREDENTIAL_REFUSED') {
        await store.records.put(collection, this.#key, { refused: true })
      }
      throw error
    } finally {
      await store.locks.release(lock)
    }
  }

  async #ask(last: Token | undefined): Promise<Token> {
    try {
      return await this.#options.fetch(last)
    } catch (error) {
      if (error instanceof CredentialRefused) throw this.#refusal(error)
      throw error
    }
  }

  async #readKept(store: Store): Promise<Token | undefined> {
    const value: Json | undefined = (await store.records.get(collection, this.#key))?.value
    if (!isJsonObject(value)) return undefined
    if (value.refused === true) throw this.#refusal(new Error('it was refused before'))
    const text = typeof value.token === 'string' ? this.#seal.open(value.token) : undefined
    return text === undefined ? undefined : (JSON.parse(text) as Token)
  }

  #refusal(reason: Error): TreatyError {
    return new TreatyError(
      'CREDENTIAL_REFUSED',
      `the credential ${this.#options.name} is refused: ${reason.message}`,
      { kind: 'auth', hint: 'Sign in or register anew, and set the new secret.' },
    )
  }

  #unavailable(cause: unknown): TreatyError {
    return new TreatyError(
      'CREDENTIAL_UNAVAILABLE',
      `no token for ${this.#options.name}: ${errorMessage(cause)}`,
      { kind: 'auth', hint: 'Check the token endpoint.' },
    )
  }
}

function copyOf(error: TreatyError): TreatyError {
  return new TreatyError(error.code, error.message, {
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    kind: 'auth',
    details: error.details,
  })
}
