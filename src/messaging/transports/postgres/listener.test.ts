import { createServer } from 'node:net'
import { expect, it } from 'vitest'
import { systemClock } from '../../../core/clock.ts'
import { openListener } from './listener.ts'

it('a listener whose server has just gone away fails with a code, not with the socket’s error', async () => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))

  const listening = openListener({
    connection: `postgres://ada:secret@127.0.0.1:${port}/shop`,
    name: 'postgres://127.0.0.1/shop',
    channel: 'orders',
    clock: systemClock,
    onMessage: () => undefined,
  })

  await expect(listening).rejects.toMatchObject({
    code: 'STORE_UNAVAILABLE',
    message: expect.not.stringContaining('secret'),
  })
})
