import type { Clock } from '../../core/clock.ts'
import { openStore, type Store } from '../../store/index.ts'
import type { Post, PostRequest, PostResult } from './post.ts'
import { createSender } from './sender.ts'
import type { SenderEvent } from './sender-events.ts'
import type { Sender, SenderOptions } from './sender-options.ts'

// Senders over endpoints that exist in memory only.

/** What an endpoint answers: a status, or something made for the request. */
export type Answer = number | ((request: PostRequest) => PostResult | Promise<PostResult>)

/** A clock that a test moves. */
export interface MovingClock extends Clock {
  advance(ms: number): Promise<void>
}

export interface World {
  readonly sender: Sender
  readonly store: Store
  readonly clock: MovingClock
  /** Requests in order, as `host id`. */
  readonly requests: PostRequest[]
  readonly events: SenderEvent[]
  /** By host name; others answer 204. */
  readonly answers: Map<string, Answer>
  /** Another sender on the same store. */
  another(more?: Partial<SenderOptions>): Promise<Sender>
}

export function status(code: number, headers: Record<string, string> = {}): PostResult {
  return { status: code, headers, excerpt: '' }
}

export const anywhere = { https: 'required', privateNetworks: 'allow' } as const

export async function worldOn(
  clock: MovingClock,
  more: Partial<SenderOptions> = {},
): Promise<World> {
  const store = await openStore('memory:', { clock })
  const requests: PostRequest[] = []
  const events: SenderEvent[] = []
  const answers = new Map<string, Answer>()
  const post: Post = async (request) => {
    requests.push(request)
    const answer = answers.get(new URL(request.url).hostname) ?? 204
    return typeof answer === 'number' ? status(answer) : answer(request)
  }
  const another = (options: Partial<SenderOptions> = {}) =>
    createSender({
      store,
      clock,
      post,
      random: () => 0.5,
      // Few timers, so that days pass quickly.
      leaseMs: 10_800_000,
      pollMs: 3_600_000,
      egress: anywhere,
      onEvent: (event) => events.push(event),
      ...more,
      ...options,
    })
  return { sender: await another(), store, clock, requests, events, answers, another }
}

export function idOf(request: PostRequest | undefined): string {
  return request?.headers['webhook-id'] ?? ''
}

export function hostsOf(requests: readonly PostRequest[]): string[] {
  return requests.map(({ url }) => new URL(url).hostname)
}
