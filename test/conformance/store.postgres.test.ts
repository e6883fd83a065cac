import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { openStore } from '../../src/store/index.ts'
import { describeStore } from '../../src/testing/describe-store.ts'
import { freshSchema, onPostgres } from './postgres-place.ts'
import { withService } from './service-url.ts'

/** Brings a backup back into a database of its own. */
async function restore(url: string, file: string, schema: string) {
  const database = `restored_${randomUUID().replaceAll('-', '')}`
  await onPostgres(url, (client) => client.query(`CREATE DATABASE ${database}`))
  const place = new URL(url)
  place.pathname = `/${database}`
  execFileSync('pg_restore', ['--no-owner', '--exit-on-error', `--dbname=${place.href}`, file])
  place.searchParams.set('schema', schema)
  const store = await openStore(place.href)
  return {
    ...store,
    async close() {
      await store.close()
      await onPostgres(url, (client) => client.query(`DROP DATABASE IF EXISTS ${database}`))
    },
  }
}

await withService('postgres', (server) =>
  describeStore(
    'postgres',
    async () => {
      const place = freshSchema(server)
      return {
        url: place.url,
        connect: () => openStore(place.url),
        openBackup: (file) => restore(server, file, place.schema),
        makeNewer: () =>
          onPostgres(server, async (client) => {
            await client.query(
              `INSERT INTO ${place.schema}.treaty_migrations (component, version) VALUES ('store', 99)`,
            )
          }),
        dispose: place.drop,
      }
    },
    {
      child: {
        module: new URL('../../src/store/index.ts', import.meta.url),
        exportName: 'openStore',
      },
    },
  ),
)
