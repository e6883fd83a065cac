import { join } from 'node:path'
import { expect, test } from 'vitest'
import { findPython, runScript } from './python.ts'
import { serve } from './served.ts'

const python = await findPython()
const missing = 'reason' in python ? python.reason : undefined
const isRequired = process.env.TREATY_REQUIRE_SERVICES === '1'

test.runIf(missing !== undefined && isRequired)('PyPI confluent-kafka can be had', () => {
  expect('hasTools' in python && python.hasTools ? missing : undefined).toBeUndefined()
})

test.skipIf(missing !== undefined)(
  `PyPI confluent-kafka registers, looks up, serialises, evolves, is refused${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  async () => {
    await using served = await serve()
    const script = join(import.meta.dirname, 'python-client.py')

    const seen = await runScript('path' in python ? python.path : '', [script, served.confluent])

    expect(seen).toEqual({
      sameId: true,
      lookedUp: ['orders-value', 1, true],
      byId: 'Order',
      missing: [404, 40401],
      missingId: [404, 40403],
      magic: [0, true],
      invalid: 'refused',
      compatible: true,
      evolved: true,
      refused: [409, 409],
      versions: [1, 2],
      oldRead: { orderId: 'o-1', amount: 1990 },
      autoRegistered: 0,
      subjects: ['new-value', 'orders-value'],
      references: [['money.json', 'money', 1]],
      level: 'BACKWARD',
      ownLevel: 'NONE',
      unchecked: true,
      deletedVersion: 1,
      deleted: [2, 3],
      deletedForGood: [1, 2, 3],
    })
  },
)
