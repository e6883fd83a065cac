import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type HostileBehaviour,
  type HostileServer,
  hostile,
  hostileServer,
} from '../../testing/hostile-server.ts'
import { createClient } from './client.ts'
import type { Client } from './client-options.ts'
import { nextLink, type PaginateOptions } from './paginate.ts'

let server: HostileServer
let client: Client

beforeAll(async () => {
  server = await hostileServer()
  client = createClient({
    baseUrl: `${server.url}/v1`,
    egress: { https: 'optional', privateNetworks: 'allow' },
    retry: false,
  })
})
afterAll(async () => {
  await client.close()
  await server.close()
})

/** Answers by the query of the request. */
function byQuery(answer: (query: URLSearchParams) => HostileBehaviour): HostileBehaviour {
  return (exchange) => {
    const url = new URL(exchange.request.url ?? '', server.url)
    answer(url.searchParams)(exchange)
  }
}

async function collect(
  options: PaginateOptions,
  query?: Record<string, string>,
): Promise<unknown[]> {
  const items: unknown[] = []
  const request = { method: 'GET', path: '/list', ...(query === undefined ? {} : { query }) }
  for await (const item of client.paginate(request, options)) items.push(item)
  return items
}

describe('paginate (C96)', () => {
  it('follows a cursor until there is none', async () => {
    const pages: Record<string, unknown> = {
      first: { data: [1, 2], meta: { next: 'b' } },
      b: { data: [3], meta: { next: 'c' } },
      c: { data: [], meta: { next: null } },
    }
    server.script(
      '/v1/list',
      byQuery((query) => hostile.json(pages[query.get('cursor') ?? 'first'])),
    )

    const options = { type: 'cursor', param: 'cursor', next: 'meta.next', items: 'data' } as const
    expect(await collect(options, { limit: '2' })).toEqual([1, 2, 3])
    expect(server.requests.at(-1)?.url).toBe('/v1/list?limit=2&cursor=c')
  })

  it('counts pages until one is short or empty', async () => {
    server.script(
      '/v1/list',
      byQuery((query) =>
        hostile.json({ items: [[1, 2], [3, 4], []][Number(query.get('page')) - 1] }),
      ),
    )

    expect(await collect({ type: 'page', param: 'page', items: 'items' })).toEqual([1, 2, 3, 4])
  })

  it('moves an offset', async () => {
    const all = [1, 2, 3, 4, 5]
    server.script(
      '/v1/list',
      byQuery((query) => {
        const from = Number(query.get('offset'))
        return hostile.json(all.slice(from, from + Number(query.get('limit'))))
      }),
    )

    const options = { type: 'offset', param: 'offset', limitParam: 'limit', limit: 2 } as const
    expect(await collect(options)).toEqual(all)
  })

  it('follows links at home only', async () => {
    const link = (target: string) => ({ link: `<${target}>; rel="next", </v1/list>; rel="first"` })
    server.script(
      '/v1/list',
      byQuery((query) =>
        query.has('p') ? hostile.json([2]) : hostile.json([1], 200, link('/v1/list?p=2')),
      ),
    )
    expect(await collect({ type: 'link' })).toEqual([1, 2])

    server.script('/v1/list', hostile.json([1], 200, link('https://evil.test/v1/list')))
    await expect(collect({ type: 'link' })).rejects.toMatchObject({ code: 'HTTP_REDIRECT_REFUSED' })
  })

  it('refuses what is not said, before anything is asked', async () => {
    for (const options of [{ type: 'cursor', param: 'c' }, { type: 'page' }, { type: 'none' }]) {
      await expect(collect(options as never)).rejects.toMatchObject({
        code: 'HTTP_OPTIONS_INVALID',
      })
    }
  })

  it('ends in an error where pages go round in a circle', async () => {
    const loop = { code: 'PAGINATION_LOOP' }
    server.script(
      '/v1/list',
      byQuery((query) =>
        hostile.json({ data: [1], next: query.get('cursor') === 'a' ? 'b' : 'a' }),
      ),
    )
    await expect(
      collect({ type: 'cursor', param: 'cursor', next: 'next', items: 'data' }),
    ).rejects.toMatchObject(loop)
    server.script('/v1/list', hostile.json([1, 2]))
    await expect(collect({ type: 'page', param: 'page' })).rejects.toMatchObject(loop)
    server.script('/v1/list', hostile.json([1], 200, { link: '</v1/list?x=1>; rel=next' }))
    await expect(collect({ type: 'link' })).rejects.toMatchObject(loop)
  })

  it('ends in an error above maxPages', async () => {
    let n = 0
    server.script(
      '/v1/list',
      byQuery(() => {
        n += 1
        return hostile.json({ data: [n], next: `c${n}` })
      }),
    )
    const options = {
      type: 'cursor',
      param: 'c',
      next: 'next',
      items: 'data',
      maxPages: 3,
    } as const
    await expect(collect(options)).rejects.toMatchObject({ code: 'PAGINATION_LOOP' })
    expect(n).toBe(3)
  })

  it('reads a page only when it is wanted', async () => {
    const before = server.requests.length
    server.script('/v1/list', hostile.json({ data: [1, 2], next: 'x' }))
    const options = { type: 'cursor', param: 'c', next: 'next', items: 'data' } as const
    for await (const item of client.paginate({ method: 'GET', path: '/list' }, options)) {
      if (item === 2) break
    }
    expect(server.requests.length - before).toBe(1)
  })
})

describe('nextLink', () => {
  it.each([
    ['<https://a.test/?p=2>; rel="next"', 'https://a.test/?p=2'],
    ['</a>; rel=prev, </b>; title="x, y"; rel="last next"', '/b'],
    ['</a,b>; REL=Next', '/a,b'],
    ['</a>; rel="prev"', undefined],
    ['', undefined],
    ['garbage', undefined],
  ])('reads %j', (header, expected) => {
    expect(nextLink(header)).toBe(expected)
  })
})
