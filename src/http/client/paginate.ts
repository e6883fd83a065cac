import { createHash } from 'node:crypto'
import { TreatyError } from '../../core/errors.ts'
import { valueAt } from '../../core/json.ts'
import { invalidOption, numberOption } from '../resilience/policy.ts'
import type { CallRequest, CallResponse } from './call.ts'

/** How a neighbour hands out long lists. Paths are dotted; `items` absent or empty: the body itself is the list. */
export type PaginateOptions = {
  readonly items?: string
  /** More pages than this are an error; default 1000. */
  readonly maxPages?: number
} & (
  | {
      readonly type: 'cursor'
      /** Query parameter of the cursor. */
      readonly param: string
      /** Where the answer has the next one; absent, null or empty there: the last page. */
      readonly next: string
    }
  | {
      readonly type: 'page'
      readonly param: string
      readonly start?: number
      readonly size?: number
    }
  | {
      readonly type: 'offset'
      readonly param: string
      /** Query parameter of the page's length. */
      readonly limitParam?: string
      readonly limit: number
    }
  /** `Link: <…>; rel="next"` (RFC 8288), within the client's origin. */
  | { readonly type: 'link' }
)

type Ask = (request: CallRequest) => Promise<CallResponse>

/** What one page leads to; undefined: it was the last. */
type Next = { readonly request: CallRequest; readonly mark: string } | undefined

function itemsOf(response: CallResponse, options: PaginateOptions): readonly unknown[] {
  const { items } = options
  const found = items === undefined || items === '' ? response.body : valueAt(response.body, items)
  if (found === undefined || found === null) return []
  if (Array.isArray(found)) return found
  throw new TreatyError('HTTP_UNREADABLE', `the page has no list at ${items ?? 'its root'}`, {
    kind: 'parse',
    hint: 'Name the path of the list in items.',
    status: response.status,
  })
}

const linkPattern =
  /<([^<>]*)>((?:\s*;\s*[\w!#$%&'*+.^`|~-]+\*?(?:\s*=\s*(?:"(?:\\.|[^"\\])*"|[^\s;,"]*))?)*)/g

/** The target of the first link whose relations include `next`. */
export function nextLink(header: string | undefined): string | undefined {
  for (const [, target, parameters = ''] of (header ?? '').matchAll(linkPattern)) {
    const relations = /;\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))/i.exec(parameters)
    const names = (relations?.[1] ?? relations?.[2] ?? '').toLowerCase().split(/\s+/)
    if (names.includes('next')) return target
  }
  return undefined
}

function withQuery(request: CallRequest, query: Record<string, string | number>): CallRequest {
  return { ...request, query: { ...request.query, ...query } }
}

function linkNext(request: CallRequest, response: CallResponse, base: LinkBase): Next {
  const link = nextLink(response.headers.link)
  if (link === undefined) return undefined
  const url = URL.parse(link, base.urlOf(request))
  if (url === null || url.origin !== base.origin || !url.pathname.startsWith(`${base.path}/`)) {
    throw new TreatyError('HTTP_REDIRECT_REFUSED', 'the next page is at another place', {
      kind: 'http',
      status: response.status,
      hint: 'Use a client for that place, or another way of paging.',
    })
  }
  const { params: _, query: __, ...rest } = request
  const path = url.pathname.slice(base.path.length) + url.search
  return { request: { ...rest, path }, mark: url.href }
}

/** What links are resolved against. */
export interface LinkBase {
  readonly origin: string
  readonly path: string
  urlOf(request: CallRequest): string
}

function nextOf(
  page: { readonly request: CallRequest; readonly response: CallResponse; readonly number: number },
  count: number,
  how: { readonly options: PaginateOptions; readonly base: LinkBase },
): Next {
  const { request, response, number } = page
  const { options, base } = how
  if (options.type === 'link') return linkNext(request, response, base)
  if (options.type === 'cursor') {
    const cursor = valueAt(response.body, options.next)
    if (cursor === undefined || cursor === null || cursor === '' || cursor === false)
      return undefined
    if (typeof cursor !== 'string' && typeof cursor !== 'number') return undefined
    return { request: withQuery(request, { [options.param]: cursor }), mark: String(cursor) }
  }
  const size = options.type === 'page' ? options.size : options.limit
  if (count === 0 || (size !== undefined && count < size)) return undefined
  const position = options.type === 'page' ? (options.start ?? 1) + number : number * options.limit
  return { request: withQuery(request, { [options.param]: position }), mark: '' }
}

function firstRequest(request: CallRequest, options: PaginateOptions): CallRequest {
  if (options.type === 'page') return withQuery(request, { [options.param]: options.start ?? 1 })
  if (options.type !== 'offset') return request
  numberOption('paginate.limit', options.limit, { min: 1, isInteger: true })
  const limit = options.limitParam === undefined ? {} : { [options.limitParam]: options.limit }
  return withQuery(request, { [options.param]: 0, ...limit })
}

function loop(why: string, pages: number): TreatyError {
  return new TreatyError('PAGINATION_LOOP', `after ${pages} pages ${why}`, {
    kind: 'parse',
    retryable: false,
    details: { pages },
  })
}

const needed = { cursor: ['param', 'next'], page: ['param'], offset: ['param'], link: [] } as const

/** @throws HTTP_OPTIONS_INVALID: callers without types, and configurations, leave things out */
function checkOptions(options: PaginateOptions): void {
  if (!Object.hasOwn(needed, options.type)) {
    throw invalidOption('paginate.type is unknown', 'Use cursor, page, offset or link.')
  }
  for (const name of needed[options.type]) {
    const value = (options as Readonly<Record<string, unknown>>)[name]
    if (typeof value === 'string' && value !== '') continue
    throw invalidOption(
      `paginate.${name} is missing, which the type ${options.type} needs`,
      `Set paginate.${name}.`,
    )
  }
}

/** Page after page, each asked for when it is wanted. A page that repeats an earlier one ends in an error, not in a circle. */
export async function* pagesOf(
  ask: Ask,
  request: CallRequest,
  how: { readonly options: PaginateOptions; readonly base: LinkBase },
): AsyncGenerator<{ readonly response: CallResponse; readonly items: readonly unknown[] }> {
  const { options } = how
  checkOptions(options)
  const maxPages = numberOption('paginate.maxPages', options.maxPages ?? 1000, { min: 1 })
  const marks = new Set<string>()
  let current = firstRequest(request, options)
  for (let number = 1; ; number += 1) {
    const response = await ask(current)
    const items = itemsOf(response, options)
    const next = nextOf({ request: current, response, number }, items.length, how)
    // Page and offset have no mark of their own: two pages that are alike are one that came twice.
    const mark = next?.mark || (items.length > 0 ? digestOf(items) : '')
    if (mark !== '' && marks.has(mark)) throw loop('one was read before', number)
    marks.add(mark)
    yield { response, items }
    if (next === undefined) return
    if (number >= maxPages) throw loop(`there are more than maxPages (${maxPages})`, number)
    current = next.request
  }
}

function digestOf(items: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(items)).digest('base64')
}
