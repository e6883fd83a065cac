import { describe, it } from 'vitest'
import { describeTransport } from '../../src/testing/index.ts'
import { openSqliteBroker, sqliteChild } from './sqlite-broker.ts'

await describeTransport('sqlite', openSqliteBroker, {
  runner: { describe, it },
  child: sqliteChild,
})
