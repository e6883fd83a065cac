import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { loadContracts } from '../contracts/index.ts'
import type { Finding } from '../core/finding.ts'
import { openRegistry } from '../registry/index.ts'
import { openStore } from '../store/index.ts'
import { parseLines, runCaptured } from './captured-run.ts'

const schema = (total: object) => ({
  type: 'object',
  required: ['orderId', 'total'],
  properties: { orderId: { type: 'string' }, total, note: { type: 'string' } },
})
const yaml = `treaty: 1
id: shop.orders
version: 1.0.0 # the first
purpose: Tells every service that an order was placed.
design: https://example.com/design
owner: { team: orders }
channels: { orders: { address: shop.orders } }
events:
  order.placed: { channel: orders, purpose: Sent when paid., schema: ./placed.json, examples: [{ orderId: A-1, total: 5 }] }
producers: { shop: {} }
consumers:
  billing:
    accepts: ^1.0.0
    since: 1.0.0
    events: { order.placed: { needs: [total], handling: Creates one invoice. } }
    idempotency: { key: id, window: 30d }
    retry: { attempts: 2 }
    deadLetter: { owner: billing }
  audit: { accepts: '*', events: { order.placed: { needs: [orderId], handling: Keeps it. } }, pending: true }
gate: { block: [breaking-change, consumer-impact] }
`
const git = (cwd: string, ...args: string[]) =>
  execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.com', ...args], {
    cwd,
    stdio: 'pipe',
  })

/** A repository with one contract in its folder `contracts`, committed. */
function shop(): { cwd: string; change(total: object): void } {
  const cwd = mkdtempSync(join(tmpdir(), 'treaty-evolution-'))
  const folder = join(cwd, 'contracts')
  mkdirSync(folder)
  const change = (total: object) =>
    writeFileSync(join(folder, 'placed.json'), JSON.stringify(schema(total), null, 2))
  writeFileSync(join(folder, 'orders.yaml'), yaml)
  change({ type: 'integer' })
  git(cwd, 'init', '-q')
  git(cwd, 'add', '.')
  git(cwd, 'commit', '-qm', 'first')
  return { cwd, change }
}
const run = (cwd: string, ...argv: string[]) => runCaptured(argv, { cwd })
async function json(cwd: string, ...argv: string[]) {
  const { code, out } = await run(cwd, ...argv, '--json')
  const { findings, data, error } = JSON.parse(out) as {
    findings: Finding[]
    data: never
    error: { code: string } | null
  }
  return { code, findings, data: data as Record<string, unknown>, error }
}

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

describe('treaty check --against', () => {
  it('says nothing where nothing has changed', async () => {
    const { cwd } = shop()

    const { code, findings } = await json(cwd, 'check', '--against', 'HEAD')
    expect(code).toBe(0)
    expect(findings.filter(({ severity }) => severity !== 'info')).toEqual([])
  })

  it('prints what a pull request must know, in one block', async () => {
    const { cwd, change } = shop()
    change({ type: 'string' })
    const { code, out } = await run(cwd, 'check', '--against', 'HEAD')

    expect(code).toBe(3)
    const block = out.slice(out.indexOf('✗ order.placed')).replaceAll(cwd, '…')
    expect(block).toMatchInlineSnapshot(`
      "✗ order.placed 1.0.0, changed   breaking for 1 of 2 consumers
        total: integer → string                   …/contracts/placed.json:12:15
        billing reads total of order.placed, and can no longer: total: integer → string
        This message is valid with the change, and billing cannot read it:
          {"orderId":"A-1","total":""}
        audit (pending) not affected
        fix: Add a field beside \`total\` and mark \`total\` deprecated, or raise the version to 2.0.0 with an upcast.

      ✗ failed  1 contract, 4 errors, 1 info
      "
    `)
  })

  it('says of a required field that was renamed that it is gone, to those who read it', async () => {
    const { cwd } = shop()
    const place = join(cwd, 'contracts', 'placed.json')
    writeFileSync(place, readFileSync(place, 'utf8').replaceAll('"total"', '"sum"'))
    const { findings } = await json(cwd, 'check', '--against', 'HEAD')

    expect(findings).toContainEqual(
      expect.objectContaining({
        code: 'CONSUMER_BROKEN',
        message:
          '`billing` reads total of `order.placed`, and can no longer: total: required → gone',
        hint: expect.stringMatching(/^Keep `total` and mark it deprecated, or /),
        witness: { orderId: expect.any(String), sum: expect.any(Number) },
      }),
    )
    const breaks = findings.filter(({ code }) => code === 'BREAKING_CHANGE')
    expect(breaks.map(({ message }) => message.split(',')[0])).toEqual([
      'total: required → gone',
      'sum: new',
    ])
  })

  it('gives findings with consumer, witness, file and line', async () => {
    const { cwd, change } = shop()
    change({ type: 'string' })
    const { findings, data } = await json(cwd, 'check', '--against', 'HEAD')

    expect(findings).toContainEqual(
      expect.objectContaining({
        code: 'CONSUMER_BROKEN',
        consumer: 'billing',
        event: 'order.placed',
        witness: { orderId: 'A-1', total: expect.any(String) },
        file: join(cwd, 'contracts', 'placed.json'),
        line: expect.any(Number),
      }),
    )
    expect(data.changes).toMatchObject([{ id: 'shop.orders', verdict: 'breaking', bump: 'major' }])
  })

  it('compares with a folder, and with a tag of a file below the root', async () => {
    const { cwd, change } = shop()
    const released = shop()
    git(cwd, 'tag', 'v1')
    change({ type: 'string' })

    const folder = await json(cwd, 'check', '--against', join(released.cwd, 'contracts'))
    const tag = await json(cwd, 'check', 'contracts/orders.yaml', '--against', 'v1')
    expect([folder.code, tag.code]).toEqual([3, 3])
  })

  it('lets pass what the contract waives, and says who agreed', async () => {
    const { cwd, change } = shop()
    change({ type: 'number' })
    const waiver = (rule: string) =>
      `{ rule: ${rule}, at: placed.json#/properties/total, reason: agreed, approvedBy: billing, expires: 2999-01-01 }`
    writeFileSync(
      join(cwd, 'contracts', 'orders.yaml'),
      yaml.replace(
        'consumer-impact]',
        `consumer-impact], waivers: [${waiver('breaking-change')}, ${waiver('consumer-impact')}]`,
      ),
    )
    const { code, out } = await run(cwd, 'check', '--against', 'HEAD')

    expect(out).toContain('breaking, waived')
    expect(out).toContain('waived by billing until 2999-01-01: agreed')
    expect(code).toBe(0)
  })

  it('finds schemas that stand elsewhere in the repository', async () => {
    const { cwd } = shop()
    mkdirSync(join(cwd, 'schemas'))
    const shared = (total: object) =>
      writeFileSync(join(cwd, 'schemas', 'placed.json'), JSON.stringify(schema(total)))
    shared({ type: 'integer' })
    writeFileSync(join(cwd, 'package.json'), '{}')
    writeFileSync(
      join(cwd, 'contracts', 'orders.yaml'),
      yaml.replace('./placed.json', '../schemas/placed.json'),
    )
    git(cwd, 'add', '.')
    git(cwd, 'commit', '-qm', 'second')
    shared({ type: 'string' })

    expect((await json(cwd, 'check', '--against', 'HEAD')).findings).toContainEqual(
      expect.objectContaining({ code: 'CONSUMER_BROKEN', consumer: 'billing' }),
    )
  })

  it('leaves index and working tree of the repository alone', async () => {
    const { cwd, change } = shop()
    change({ type: 'string' })
    await run(cwd, 'check', '--against', 'HEAD')

    expect(git(cwd, 'status', '--porcelain').toString()).toBe(' M contracts/placed.json\n')
  })

  it('takes a contract that was not there as a first version', async () => {
    const { cwd } = shop()
    writeFileSync(
      join(cwd, 'contracts', 'new.yaml'),
      yaml.replace('shop.orders', 'shop.returns').replaceAll('order.placed', 'order.returned'),
    )

    expect((await json(cwd, 'check', '--against', 'HEAD')).data.changes).toHaveLength(1)
  })

  it('exits with 4 where there is no such revision or folder', async () => {
    const { cwd } = shop()
    for (const name of ['nope', '--upload-pack=x', './nope']) {
      expect(await json(cwd, 'check', `--against=${name}`)).toMatchObject({
        code: 4,
        error: { code: 'BASELINE_NOT_FOUND' },
      })
    }
  })

  it('compares with a registry, whichever shape it answers in', async () => {
    const { cwd, change } = shop()
    const { contracts } = await loadContracts(join(cwd, 'contracts'))
    const { contractToSource } = await import('../contracts/index.ts')
    const source = contractToSource(contracts[0] as never)
    const server = createServer(({ url }, response) => {
      const answers: Record<string, unknown> = {
        '/api/contracts': { items: [{ id: 'shop.orders', version: '1.0.0' }] },
        '/api/contracts/shop.orders/versions': { items: [{ version: '1.0.0' }] },
        '/api/contracts/shop.orders/versions/1.0.0': source,
      }
      const answer = answers[url ?? '']
      response.writeHead(answer === undefined ? 404 : 200).end(JSON.stringify(answer ?? {}))
    })
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    closing.push(() => server.close())
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    change({ type: 'string' })

    expect((await json(cwd, 'check', '--against', base)).code).toBe(3)
    server.close()
    server.closeAllConnections()
    expect(await json(cwd, 'check', '--against', base)).toMatchObject({
      code: 6,
      error: { code: 'BASELINE_UNAVAILABLE' },
    })
  })

  it('tries the upcasts of a new major version on messages of the earlier', async () => {
    const { cwd } = shop()
    const path = join(cwd, 'contracts', 'orders.yaml')
    const upcast = (jsonata: string) =>
      writeFileSync(
        path,
        `${yaml.replace('1.0.0 #', '2.0.0 #').replace('^1.0.0', '">=1 <3"')}evolution: { upcast: [{ event: order.placed, from: 1.x, to: 2.x, jsonata: '${jsonata}' }] }\n`,
      )
    const codes = async () =>
      (await json(cwd, 'check', '--against', 'HEAD')).findings
        .filter(({ severity }) => severity === 'error')
        .map(({ code }) => code)

    upcast('$merge([$, {"total": 0}])')
    expect(await codes()).toEqual([])
    upcast('{"orderId": orderId}')
    expect(new Set(await codes())).toEqual(new Set(['UPCAST_BREAKS']))
    upcast('$merge([$')
    expect(await codes()).toEqual(['UPCAST_INVALID'])
  })

  it('writes annotations for GitHub and SARIF', async () => {
    const { cwd, change } = shop()
    change({ type: 'string' })
    const github = await run(cwd, 'check', '--against', 'HEAD', '--format', 'github')
    const sarif = await run(cwd, 'check', '--against', 'HEAD', '--format', 'sarif')
    const plain = await run(cwd, 'check', '--format', 'json')

    expect(github.out).toMatch(/^::error file=.*,line=\d+,col=\d+,title=BREAKING_CHANGE::/m)
    expect(github.out).not.toContain('\n\n')
    expect(github.code).toBe(3)
    const log = JSON.parse(sarif.out)
    expect(log.version).toBe('2.1.0')
    expect(log.runs[0].results[0]).toMatchObject({ ruleId: expect.any(String), level: 'error' })
    expect(JSON.parse(plain.out)).toMatchObject({ treaty: 1, command: 'check' })
  })
})

describe('treaty check', () => {
  it('proves that the contract promises what a consumer asks for with a schema', async () => {
    const { cwd } = shop()
    const path = join(cwd, 'contracts', 'orders.yaml')
    const asking = (needs: string) =>
      writeFileSync(path, yaml.replace('needs: [total]', `needs: ${needs}`))

    asking('{ type: object, required: [total] }')
    expect((await json(cwd, 'check')).code).toBe(0)
    asking('{ type: object, required: [note] }')
    const { code, findings } = await json(cwd, 'check')
    expect(code).toBe(3)
    expect(findings).toContainEqual(
      expect.objectContaining({ code: 'NEEDS_NOT_MET', consumer: 'billing', line: 15 }),
    )
  })
})

describe('treaty check --fix', () => {
  it('writes since into entries that lack it, and nothing else', async () => {
    const { cwd } = shop()
    const path = join(cwd, 'contracts', 'orders.yaml')
    const { data } = await json(cwd, 'check', '--fix')

    expect(data.fixed).toEqual(['`audit` of shop.orders says since: 1.0.0'])
    expect(readFileSync(path, 'utf8')).toBe(
      yaml.replace("audit: { accepts: '*',", "audit: { accepts: '*', since: 1.0.0,"),
    )
    expect((await json(cwd, 'check', '--fix')).data.fixed).toEqual([])
  })
})

describe('treaty gate and treaty review', () => {
  it('fail closed, and pass once everything is there', async () => {
    const { cwd } = shop()
    const path = join(cwd, 'contracts', 'orders.yaml')
    writeFileSync(path, yaml.replace('consumer-impact]', 'consumer-impact, unreviewed]'))

    expect(await json(cwd, 'gate')).toMatchObject({ code: 3, data: { result: 'fail' } })
    expect((await json(cwd, 'gate', '--against', 'HEAD')).findings).toContainEqual(
      expect.objectContaining({
        code: 'GATE_INCOMPLETE',
        hint: expect.stringContaining('treaty review --consumer billing'),
      }),
    )

    const review = await run(cwd, 'review', '--consumer', 'billing', '--by', 'ada@example.com')
    expect(review).toMatchObject({ code: 0, out: expect.stringContaining('✓ reviewed') })
    expect(await json(cwd, 'gate', '--against', 'HEAD')).toMatchObject({ code: 0 })
    expect(readFileSync(path, 'utf8')).toContain('version: 1.0.0 # the first')

    writeFileSync(path, readFileSync(path, 'utf8').replace('Creates one', 'Creates an'))
    expect((await json(cwd, 'gate', '--against', 'HEAD')).code).toBe(3)
  })

  it('know the consumers that may review', async () => {
    const { cwd } = shop()

    expect(await run(cwd, 'review', '--consumer', 'biling', '--by', 'ada')).toMatchObject({
      code: 4,
      err: expect.stringContaining("Did you mean 'billing'?"),
    })
    expect((await run(cwd, 'review', '--consumer', 'billing')).code).toBe(2)
  })
})

describe('treaty can-i-deploy', () => {
  it('asks the registry of the local store', async () => {
    const { cwd, change } = shop()
    const file = join(cwd, 'registry.db')
    const store = await openStore(`sqlite:${file}`)
    const registry = openRegistry(store)
    const { contracts } = await loadContracts(join(cwd, 'contracts'))
    await registry.register(contracts[0] as never, 'test')
    const deployed = { environment: 'prod', contracts: { 'shop.orders': '1.0.0' } }
    await registry.deploy({ service: 'billing', version: '4', ...deployed }, 'test')
    await store.close()
    const ask = () => run(cwd, 'can-i-deploy', 'shop', '7', '--to', 'prod', '--registry', file)

    expect(await ask()).toMatchObject({ code: 0, out: expect.stringContaining('may be deployed') })

    change({ type: 'string' })
    const path = join(cwd, 'contracts', 'orders.yaml')
    writeFileSync(path, yaml.replace('1.0.0 #', '1.1.0 #'))
    const { code, out } = await ask()
    expect(code).toBe(3)
    expect(out).toContain('shop 7 → prod   must not be deployed')
    expect(out).toContain('billing 4 cannot read order.placed: total: integer → string')
    expect(out).toMatch(/\{"orderId":"A-1","total":"[^"]*"\}/)
  })
})

describe('treaty can-i-deploy to an environment that nobody knows', () => {
  it('is no yes: exit 4, with the name that was meant', async () => {
    const { cwd } = shop()
    const file = join(cwd, 'registry.db')
    const store = await openStore(`sqlite:${file}`)
    const deployed = { environment: 'staging', contracts: { 'shop.orders': '1.0.0' } }
    await openRegistry(store).deploy({ service: 'billing', version: '4', ...deployed }, 'test')
    await store.close()
    const ask = (...more: string[]) =>
      run(cwd, 'can-i-deploy', 'shop', '7', '--registry', file, ...more)

    const typo = await ask('--to', 'stagin')
    expect(typo.code).toBe(4)
    expect(typo.err).toContain("there is no environment 'stagin'")
    expect(typo.err).toContain("Did you mean 'staging'?")
    expect(typo.out).not.toContain('may be deployed')
    expect(await ask('--to', 'qa', '--new-environment')).toMatchObject({ code: 0 })
  })
})

describe('treaty migration', () => {
  it('says what is deprecated and who holds it back', async () => {
    const { cwd, change } = shop()
    change({ type: 'integer', deprecated: true })
    const { out } = await run(cwd, 'migration', '--against', 'HEAD')

    expect(out).toContain('1. Register the version that has old and new fields')
    expect(out).toContain('total of order.placed: needed by billing')
  })
})

describe('treaty compat', () => {
  it('compares contracts under their own policy, and schemas under a named one', async () => {
    const { cwd, change } = shop()
    const other = shop()
    change({ type: 'integer', minimum: 0 })
    const [a, b] = [cwd, other.cwd].map((folder) => join(folder, 'contracts'))

    expect(await json('/', 'compat', String(a), String(b))).toMatchObject({
      code: 3,
      data: { verdict: 'breaking' },
    })
    const files = [a, b].map((folder) => join(String(folder), 'placed.json'))
    expect((await json('/', 'compat', ...files)).data).toEqual({ verdict: 'compatible' })
    expect((await json('/', 'compat', ...files, '--mode', 'forward')).data).toMatchObject({
      verdict: 'breaking',
      witness: expect.anything(),
    })
    expect(
      (await json('/', 'compat', ...files, '--policy', 'confluent-strict', '--mode', 'forward'))
        .data,
    ).toMatchObject({ verdict: 'breaking', rule: 'MINIMUM_ADDED' })
  })

  it('answers a batch in order, whatever stands in its lines', async () => {
    const lines = [
      '{"id":1,"a":{"type":"integer"},"b":{"type":"number"}}',
      '',
      '{"id":2,"a":{}}',
      'no json',
      '{"id":"3","a":{"$ref":"http://example.com/x"},"b":true}',
      '{"id":4,"a":{"properties":{"__proto__":{"type":"string"}}},"b":true,"draft":"draft-07"}',
    ]
    const { code, out } = await runCaptured(['compat', '--batch', '-', '--json'], {
      cwd: '/',
      input: lines.join('\n'),
    })
    const answers = parseLines(out)

    expect(code).toBe(3)
    expect(answers.map(({ id, verdict, error }) => [id, verdict ?? error])).toEqual([
      [1, 'compatible'],
      [2, 'PAIR_INVALID'],
      [null, 'JSON_SYNTAX'],
      ['3', 'REF_REMOTE'],
      [4, 'compatible'],
      [undefined, undefined],
    ])
    expect(answers.at(-1)).toMatchObject({ kind: 'summary', pairs: 5, compatible: 2, errors: 3 })
  })
})
