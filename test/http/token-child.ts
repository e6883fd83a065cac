import { createClient } from '../../src/http/index.ts'
import { openStore } from '../../src/store/index.ts'

// A process of several that share one credential through the store: makes some calls at once.

const [file = '', baseUrl = ''] = process.argv.slice(2)
const store = await openStore(file)
const client = createClient({
  baseUrl,
  egress: { https: 'optional', privateNetworks: 'allow' },
  auth: {
    type: 'oauth2',
    grant: 'refresh_token',
    tokenUrl: `${baseUrl}/token`,
    clientId: 'shared',
    clientSecret: 'shared-secret',
    refreshToken: 'refresh-1',
    store,
  },
})
await Promise.all(Array.from({ length: 20 }, () => client.request({ method: 'GET', path: '/api' })))
await client.close()
await store.close()
