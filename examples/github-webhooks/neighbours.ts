// The neighbours that are not on the bus: GitHub, which sends us webhooks, and three partners, which we send webhooks to.
import type { Store } from 'treatyjs'
import type { Sender } from 'treatyjs/webhooks'
import { deliverAll } from './github.ts'
import { openPartners } from './partners.ts'

/** What `treaty start` hands to a feed. */
interface Feed {
  /** Where our own server answers. */
  readonly url: string
  readonly store: Store
  readonly sender?: Sender
  readonly signal: AbortSignal
  secret(reference: string): Promise<string>
  report(text: string): void
}

export async function run({ url, store, sender, signal, secret, report }: Feed): Promise<void> {
  if (!sender) throw new Error('the configuration has no sender under webhooks')
  await openPartners({ sender, signal, secret: await secret('secret://store/partners') })
  // GitHub and our receiver share this secret; in a real life it stands in the settings of the repository.
  const shared = await secret('secret://store/github')
  report(await deliverAll({ url: `${url}/hooks/github`, secret: shared, store, signal }))
}
