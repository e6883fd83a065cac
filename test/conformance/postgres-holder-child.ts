import { createPostgresTransport } from '../../src/messaging/transports/postgres/index.ts'

// Leases what a group has and never settles it: to be killed. Arguments: the URL of the broker, the group.

const [url = '', group = ''] = process.argv.slice(2)
const transport = createPostgresTransport({ url, leaseMs: 60_000 })
await transport.connect()
const subscription = await transport.subscribe({ group }, (deliveries) => {
  process.send?.({ delivered: deliveries.length })
})
subscription.grant(10)
