import { once } from 'node:events'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openStore } from '../store/index.ts'
import { createSender, sign } from '../webhooks/index.ts'
import { parseLines, runCaptured } from './captured-run.ts'

const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const environment = { HOOK: secret }
const byReference = ['--secret', 'secret://env/HOOK']
const emptyFolder = () => mkdtempSync(join(tmpdir(), 'treaty-webhook-'))

async function runJson(argv: readonly string[], cwd = emptyFolder()) {
  const { code, out } = await runCaptured([...argv, '--json'], { cwd, environment })
  const { data, error } = JSON.parse(out) as { data: never; error: { code: string } | null }
  return { code, data: data as Record<string, unknown>, error }
}

describe('treaty webhook sign and verify', () => {
  it('agree with each other, and verify says why a signature does not hold', async () => {
    const cwd = emptyFolder()
    writeFileSync(join(cwd, 'body.json'), '{"a":1}')
    const at = ['--at', '2026-01-01T00:00:00Z']
    const body = ['--data', '@body.json']
    const signed = await runCaptured(
      ['webhook', 'sign', ...byReference, ...body, ...at, '--id', 'm-1'],
      { cwd, environment },
    )
    writeFileSync(join(cwd, 'headers.txt'), signed.out)
    const headers = ['--headers', '@headers.txt']

    expect(signed.out).toContain('webhook-id: m-1')
    expect(
      await runJson(['webhook', 'verify', ...byReference, ...body, ...headers, ...at], cwd),
    ).toMatchObject({ code: 0, data: { ok: true, id: 'm-1', secretIndex: 0 } })
    expect(
      await runJson(
        ['webhook', 'verify', ...byReference, ...body, ...headers, '--at', '2026-01-01T00:06:00Z'],
        cwd,
      ),
    ).toMatchObject({ code: 3, data: { ok: false, reason: 'stale' } })
    expect(
      await runJson(['webhook', 'verify', ...byReference, '--data', '{}', ...headers, ...at], cwd),
    ).toMatchObject({ code: 3, data: { reason: 'mismatch' } })
    expect((await runJson(['webhook', 'sign', '--data', 'x'])).error).toMatchObject({
      code: 'USAGE',
    })
  })
})

/** Runs `listen` until it has taken `max` requests; `work` is given its address. */
async function listening(argv: readonly string[], work: (url: string) => Promise<void>) {
  const ready = Promise.withResolvers<string>()
  const running = runCaptured(['webhook', 'listen', '0', ...argv], {
    cwd: emptyFolder(),
    environment,
    onWrite(text) {
      const [line] = parseLines(text)
      if (line?.kind === 'ready') ready.resolve(String(line.url))
    },
  })
  await work(await ready.promise)
  const { code, out } = await running
  return { code, lines: parseLines(out) }
}

describe('treaty webhook listen and send', () => {
  it('shows what was sent, and refuses what is not signed', async () => {
    const { code, lines } = await listening([...byReference, '--max', '2'], async (url) => {
      const sent = await runJson([
        'webhook',
        'send',
        `${url}/hooks/x`,
        ...byReference,
        '--data',
        '{"a":1}',
        '--id',
        'm-1',
      ])
      expect(sent).toMatchObject({ code: 0, data: { status: 200, id: 'm-1' } })
      expect((await fetch(url, { method: 'POST', body: '{}' })).status).toBe(401)
    })

    expect(code).toBe(0)
    expect(lines).toMatchObject([
      { kind: 'ready' },
      { kind: 'delivery', id: 'm-1', path: '/hooks/x', verified: true, body: { a: 1 } },
      { kind: 'request', outcome: 'unverified', reason: 'missing', status: 401 },
      { kind: 'summary', received: 2, verified: 1, refused: 1 },
    ])
  })

  it('hands on the same bytes and headers, and gives the answer of the target', async () => {
    const seen: unknown[] = []
    const target = createServer(async (request, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      seen.push([request.headers['webhook-id'], Buffer.concat(chunks).toString()])
      response.writeHead(202).end('taken')
    }).listen(0, '127.0.0.1')
    await once(target, 'listening')
    const { port } = target.address() as AddressInfo
    const { lines } = await listening(
      [...byReference, '--max', '1', '--forward-to', `http://127.0.0.1:${port}/in`],
      async (url) => {
        const sent = await runJson([
          'webhook',
          'send',
          url,
          ...byReference,
          '--data',
          '{ "a": 1.0 }',
          '--id',
          'm-1',
        ])
        expect(sent.data).toMatchObject({ status: 202, response: 'taken' })
      },
    )
    target.closeAllConnections()
    target.close()

    expect(seen).toEqual([['m-1', '{ "a": 1.0 }']])
    expect(lines).toContainEqual(expect.objectContaining({ kind: 'forwarded', status: 202 }))
  })

  it('says that nobody answers', async () => {
    const { code, data } = await runJson([
      'webhook',
      'send',
      'http://127.0.0.1:1/',
      ...byReference,
      '--data',
      'x',
    ])

    expect([code, data.status]).toEqual([6, undefined])
    expect(data.error).toContain('ECONNREFUSED')
  })

  it('refuses a port that is taken', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const { code } = await runCaptured(['webhook', 'listen', String(port)], { cwd: emptyFolder() })
    server.close()

    expect(code).toBe(6)
  })
})

describe('treaty webhook endpoint, attempt and recover', () => {
  it('manage what a sender on the same store delivers', async () => {
    const cwd = emptyFolder()
    const endpoint = (...argv: string[]) => runJson(['webhook', 'endpoint', ...argv], cwd)
    const added = await endpoint(
      'add',
      'https://a.example/h',
      '--id',
      'one',
      '--events',
      'order.*',
      '--allow-private',
    )
    expect(added.data).toMatchObject({
      id: 'one',
      status: 'active',
      secret: expect.stringMatching(/^whsec_/),
    })
    expect(JSON.stringify((await endpoint('list')).data)).not.toContain('whsec_')
    expect((await endpoint('add', 'http://127.0.0.1/')).error).toMatchObject({
      code: 'WEBHOOK_EGRESS_DENIED',
    })
    expect((await endpoint('show', 'two')).error).toMatchObject({
      code: 'WEBHOOK_ENDPOINT_NOT_FOUND',
    })
    expect((await endpoint('fly', 'one')).error).toMatchObject({ code: 'USAGE' })
    expect((await endpoint('rotate', 'one')).data).toMatchObject({
      secret: expect.stringMatching(/^whsec_/),
    })

    const store = await openStore(`sqlite:${join(cwd, 'treaty.db')}`)
    const attempted = Promise.withResolvers<void>()
    const sender = await createSender({
      store,
      schedule: [],
      egress: { privateNetworks: 'allow' },
      post: async () => ({ status: 500, headers: {}, excerpt: 'no' }),
      onEvent: ({ kind }) => kind === 'exhausted' && attempted.resolve(),
    })
    const { id } = await sender.send({ type: 'order.placed', data: 1 })
    await attempted.promise
    await sender.close()
    await store.close()

    expect((await runJson(['webhook', 'attempt', 'list', 'one'], cwd)).data).toMatchObject({
      items: [{ messageId: id, outcome: 'exhausted', status: 500, response: 'no' }],
    })
    expect(
      (await runJson(['webhook', 'attempt', 'redeliver', 'one', '--message', 'none'], cwd)).error,
    ).toMatchObject({ code: 'WEBHOOK_MESSAGE_NOT_FOUND' })
    expect((await runJson(['webhook', 'recover', 'one', '--since', '1h'], cwd)).data).toMatchObject(
      { recovered: 1 },
    )
    expect((await endpoint('disable', 'one', '--reason', 'holiday')).data).toMatchObject({
      status: 'disabled',
      disabledReason: 'holiday',
    })
    expect((await endpoint('remove', 'one')).code).toBe(0)
    expect((await endpoint('list')).data).toEqual({ items: [] })
  })
})

describe('a body that another library signed', () => {
  it('is verified from standard input', async () => {
    const rawBody = Buffer.from('{"x":1}')
    const headers = sign({
      scheme: 'github',
      secrets: ['hush'],
      id: 'd-1',
      timestamp: new Date(),
      rawBody,
    })
    const { code } = await runCaptured(
      [
        'webhook',
        'verify',
        '--scheme',
        'github',
        '--secret',
        'hush',
        '--headers',
        JSON.stringify(headers),
        '--data',
        '-',
      ],
      { cwd: emptyFolder(), input: '{"x":1}' },
    )

    expect(code).toBe(0)
  })
})
