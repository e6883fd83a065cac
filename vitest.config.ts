import { defineConfig } from 'vitest/config'

// Three projects: quick unit tests share threads; conformance and fault tests get processes of
// their own, because they kill things. Those of brokers wait for most of their time: for leases, sessions, servers that come back. So more
// files run at once than there are cores.
export default defineConfig({
  test: {
    // In CI a test that fails is tried once more, and the report says so: bounds of time that hold on a quiet machine may not on a busy one.
    retry: process.env.CI === undefined ? 0 : 1,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['src/**/*.test.ts', 'test/docs/transports.test.ts'],
          pool: 'threads',
          isolate: false,
          testTimeout: 15_000,
        },
      },
      {
        test: {
          name: 'types',
          include: [],
          typecheck: { enabled: true, only: true, include: ['src/**/*.test-d.ts'], checker: 'tsc' },
        },
      },
      {
        test: {
          name: 'crossing',
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
          include: ['test/**/*.test.ts'],
          exclude: ['test/faults/**', 'test/docs/transports.test.ts'],
          pool: 'forks',
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'faults',
          sequence: { groupOrder: 2 },
          include: ['test/faults/**/*.test.ts'],
          pool: 'forks',
          fileParallelism: false,
          testTimeout: 600_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
})
