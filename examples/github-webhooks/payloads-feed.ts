// Hands the official example payloads to the bus as raw bytes, as a webhook endpoint would, each once.
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import type { Bus, Store } from 'treatyjs'

/** What `treaty start` hands to a feed. */
interface Feed {
  readonly bus: Bus
  readonly store: Store
  readonly signal: AbortSignal
  report(text: string): void
}
interface Webhook {
  readonly name: string
  readonly examples: readonly unknown[]
}

/** Payloads that are handed over at the same time: enough to share the fsync of a group commit. */
const atOnce = 32

export async function run({ bus, store, signal, report }: Feed): Promise<void> {
  const file = createRequire(import.meta.url).resolve('@octokit/webhooks-examples')
  const webhooks: Webhook[] = JSON.parse(await readFile(file, 'utf8'))
  const payloads = webhooks.flatMap(({ name, examples }) =>
    examples.map((payload, at) => ({ event: `github.${name}`, id: `${name}-${at}`, payload })),
  )
  const done = new Set(
    (await store.records.list('payloads-feed', { limit: 10_000 })).map(({ key }) => key),
  )
  const left = payloads.filter(({ id }) => !done.has(id))
  if (left.length === 0) {
    report(`${payloads.length} GitHub payloads were handed over before; nothing to do`)
    return
  }
  let refused = 0
  for (let at = 0; at < left.length && !signal.aborted; at += atOnce) {
    await Promise.all(
      left.slice(at, at + atOnce).map(async ({ event, id, payload }) => {
        const bytes = new TextEncoder().encode(JSON.stringify(payload))
        const result = await bus.ingest(event, bytes, { source: 'github', id })
        if (result.deadLetter !== undefined) refused += 1
        await store.records.put('payloads-feed', id, { message: result.id })
      }),
    )
  }
  report(
    `${left.length} GitHub payloads handed over: ${left.length - refused} valid, ${refused} departed from their schema`,
  )
}
