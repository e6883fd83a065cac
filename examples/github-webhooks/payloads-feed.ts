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

export async function run({ bus, store, signal, report }: Feed): Promise<void> {
  const file = createRequire(import.meta.url).resolve('@octokit/webhooks-examples')
  const webhooks: Webhook[] = JSON.parse(await readFile(file, 'utf8'))
  const known = await store.records.list('payloads-feed', { limit: 10_000 })
  const done = new Set(known.map(({ key }) => key))
  let handed = 0
  let refused = 0

  const hand = async (event: string, id: string, payload: unknown) => {
    const bytes = new TextEncoder().encode(JSON.stringify(payload))
    const result = await bus.ingest(event, bytes, { source: 'github', id })
    await store.records.put('payloads-feed', id, { message: result.id })
    handed += 1
    if (result.deadLetter !== undefined) refused += 1
  }
  // One kind at a time: its first payload compiles a schema of thousands of lines.
  for (const { name, examples } of webhooks) {
    if (signal.aborted) return
    const left = examples
      .map((payload, at) => ({ id: `${name}-${at}`, payload }))
      .filter(({ id }) => !done.has(id))
    await Promise.all(left.map(({ id, payload }) => hand(`github.${name}`, id, payload)))
  }
  report(
    handed === 0
      ? `${done.size} GitHub payloads were handed over before; nothing to do`
      : `${handed} GitHub payloads handed over: ${handed - refused} valid, ${refused} depart from their schema`,
  )
}
