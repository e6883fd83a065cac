import { openBus } from '../../src/index.ts'
import { orders } from './outbox-contract.ts'

// A relay to be killed: `node outbox-relay-child.ts OUTBOX-URL BROKER-URL`.
const [, , outboxUrl = '', brokerUrl = ''] = process.argv
await openBus({ contracts: [orders], transport: brokerUrl, outbox: { url: outboxUrl, batch: 20 } })
process.send?.({ kind: 'ready' })
setInterval(() => undefined, 60_000)
