// Plays GitHub: sends the official example payloads as signed webhooks over HTTP, each once, as GitHub would. Some come
// a second time, as when somebody presses "Redeliver", and one is forged.
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import type { Store } from 'treatyjs'
import { type Client, createClient } from 'treatyjs/http'
import { derivedId } from 'treatyjs/packs/agent-platform'
import { sign } from 'treatyjs/webhooks'

interface Webhook {
  readonly name: string
  readonly examples: readonly unknown[]
}
interface Delivery {
  readonly id: string
  readonly event: string
  readonly body: Uint8Array
}

/** Every so many deliveries one is sent again. */
const redeliverEvery = 25

export interface GitHubOptions {
  /** Where the webhooks go. */
  readonly url: string
  readonly secret: string
  /** Remembers what was sent, so that a second start repeats nothing. */
  readonly store: Store
  readonly signal: AbortSignal
}

/** Sends what was not sent before; a sentence about it. */
export async function deliverAll({ url, secret, store, signal }: GitHubOptions): Promise<string> {
  const known = await store.records.list('github-deliveries', { limit: 10_000 })
  const done = new Set(known.map(({ key }) => key))
  const { origin, pathname } = new URL(url)
  const client = createClient({
    baseUrl: origin,
    // The first payload of a kind waits for the compilation of a schema of thousands of lines.
    timeout: { attemptMs: 20_000, totalMs: 120_000 },
    retry: { attempts: 10, baseMs: 100, capMs: 5000, budget: false },
    egress: { https: 'optional', privateNetworks: 'allow' },
  })
  const post = (delivery: Delivery, key = secret) =>
    send(client, pathname, delivery, { secret: key, signal })
  let sent = 0
  let again = 0
  try {
    for (const { name, examples } of await payloads()) {
      if (signal.aborted) break
      const left = examples
        .map((payload, at) => deliveryOf(name, at, payload))
        .filter(({ id }) => !done.has(id))
      await Promise.all(
        left.map(async (delivery) => {
          await post(delivery)
          await store.records.put('github-deliveries', delivery.id, { event: delivery.event })
          sent += 1
          if (sent % redeliverEvery !== 0) return
          await post(delivery)
          again += 1
        }),
      )
    }
    if (sent === 0) return `${done.size} GitHub webhooks were sent before; nothing to do`
    if (signal.aborted) return `${sent} GitHub webhooks sent; the rest at the next start`
    const forged = deliveryOf('push', -1, { forged: true })
    const refused = await post(forged, 'a guess').then(
      () => 'taken',
      (error) => `refused with ${(error as { status?: number }).status}`,
    )
    return `${sent} GitHub webhooks sent, ${again} of them twice; a forged one was ${refused}`
  } finally {
    await client.close()
  }
}

async function payloads(): Promise<Webhook[]> {
  const file = createRequire(import.meta.url).resolve('@octokit/webhooks-examples')
  return JSON.parse(await readFile(file, 'utf8'))
}

function deliveryOf(name: string, at: number, payload: unknown): Delivery {
  return {
    id: derivedId('github', name, String(at)),
    event: name,
    body: new TextEncoder().encode(JSON.stringify(payload)),
  }
}

async function send(
  client: Client,
  path: string,
  delivery: Delivery,
  { secret, signal }: { secret: string; signal: AbortSignal },
) {
  const { id, event, body: rawBody } = delivery
  const signature = sign({
    scheme: 'github',
    secrets: [secret],
    id,
    timestamp: new Date(),
    rawBody,
  })
  await client.request({
    method: 'POST',
    path,
    // The receiver knows a delivery by its id, so that it may be sent again.
    idempotent: true,
    headers: {
      ...signature,
      'content-type': 'application/json',
      'user-agent': 'GitHub-Hookshot/example',
      'x-github-event': event,
      'x-github-delivery': id,
    },
    body: rawBody,
    signal,
  })
}
