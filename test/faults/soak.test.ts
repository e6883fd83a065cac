import { describe, it } from 'vitest'
import { describeTransport } from '../../src/testing/index.ts'
import { openSqliteBroker, sqliteChild } from '../conformance/sqlite-broker.ts'
import { fullEffort, isFullSoak } from './effort.ts'

// The behaviours that grow with time and kills; their short form runs with the conformance suite.
await describeTransport('sqlite under the full soak', openSqliteBroker, {
  runner: { describe: (name, body) => describe.runIf(isFullSoak)(name, body), it },
  child: sqliteChild,
  effort: fullEffort,
  only: [2, 20, 33, 34, 42],
})
