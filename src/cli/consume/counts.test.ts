import { expect, it } from 'vitest'
import { createCounts } from './counts.ts'

it('one message that was given back 28 times is one, and none once it was handled', () => {
  const counts = createCounts()
  for (let n = 0; n < 28; n += 1) counts.add({ outcome: 'release', messageId: 'm-1' })
  counts.add({ outcome: 'lost', messageId: 'm-2' })
  expect(counts.read()).toMatchObject({ handled: 0, released: 2 })

  counts.add({ outcome: 'ack', messageId: 'm-1' })
  counts.add({ outcome: 'retry', messageId: 'm-2' })
  expect(counts.read()).toEqual({ handled: 1, retried: 1, dead: 0, released: 0, skipped: 0 })
})
