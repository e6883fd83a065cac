import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { runCaptured } from './captured-run.ts'
import { sampleProject } from './sample-project.ts'

async function run(cwd: string, ...argv: string[]) {
  const { out, code } = await runCaptured(argv, { cwd })
  return { out, code }
}

describe('treaty export asyncapi', () => {
  it('writes a document that treaty import asyncapi reads back', async () => {
    const cwd = sampleProject()
    await run(cwd, 'export', 'asyncapi', '--out', 'asyncapi.yaml')
    const { code } = await run(cwd, 'import', 'asyncapi', 'asyncapi.yaml', '--out', 'again')

    expect(code).toBe(0)
    expect(readFileSync(join(cwd, 'asyncapi.yaml'), 'utf8')).toMatch(/^asyncapi: 3\.1\.0\n/)
    expect(readFileSync(join(cwd, 'again/shop.orders.yaml'), 'utf8')).toContain('order.placed:')
  })

  it('refuses a service that the contract does not name', async () => {
    const { code, out } = await run(
      sampleProject(),
      'export',
      'asyncapi',
      '--service',
      'x',
      '--json',
    )

    expect([code, out]).toEqual([4, expect.stringContaining('APPLICATION_UNKNOWN')])
  })
})

describe('treaty import', () => {
  it.each(['asyncapi', 'jsonschema', 'confluent'])(
    '%s says that a file is not there, not that a schema is',
    async (kind) => {
      const { code, out } = await run(sampleProject(), 'import', kind, 'none.json', '--json')

      expect(code).toBe(4)
      expect(JSON.parse(out).error).toMatchObject({
        code: 'FILE_NOT_FOUND',
        message: 'there is no file none.json',
      })
    },
  )

  it('does not write over a contract that is there', async () => {
    const cwd = sampleProject()
    writeFileSync(join(cwd, 'a.json'), '{"type":"object"}')
    const first = await run(cwd, 'import', 'jsonschema', 'a.json', '--out', 'made')
    const second = await run(cwd, 'import', 'jsonschema', 'a.json', '--out', 'made', '--json')

    expect([first.code, existsSync(join(cwd, 'made/a.yaml'))]).toEqual([0, true])
    expect(second.out).toContain('OUTPUT_EXISTS')
  })

  it.each([
    [['asyncapi', 'https://example.com/a.yaml'], 'IMPORT_REMOTE'],
    [['confluent', 'http://203.0.113.7:8081'], 'IMPORT_REMOTE'],
    [['confluent', 'http://127.0.0.1:1'], 'IMPORT_UNREACHABLE'],
  ])('refuses %j with %s', async (argv, code) => {
    expect((await run(sampleProject(), 'import', ...argv, '--json')).out).toContain(code)
  })

  it('reads the subjects of a registry on this machine', async () => {
    const answers: Readonly<Record<string, unknown>> = {
      '/r/subjects': ['orders-value'],
      '/r/config': { compatibilityLevel: 'BACKWARD' },
      '/r/subjects/orders-value/versions/latest': {
        ...{ subject: 'orders-value', version: 3, id: 7, schemaType: 'JSON' },
        schema: '{"type":"object","required":["id"]}',
      },
    }
    const server = createServer((request, response) => {
      const answer = answers[request.url ?? '']
      response.writeHead(answer === undefined ? 404 : 200).end(JSON.stringify(answer ?? {}))
    })
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    const { port } = server.address() as AddressInfo
    const { out } = await run(sampleProject(), 'import', 'confluent', `http://127.0.0.1:${port}/r/`)
    server.close()

    expect(out).toContain('mode: backward')
    expect(out).toContain('  orders:\n    channel: orders')
  })
})
