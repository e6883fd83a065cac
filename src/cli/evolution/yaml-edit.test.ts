import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { withReview, withSince } from './yaml-edit.ts'

const review = {
  consumer: 'billing',
  by: 'ada@example.com',
  at: '2026-11-21',
  digest: 'sha256:00ff',
}
const line = '{ consumer: billing, by: ada@example.com, at: 2026-11-21, digest: sha256:00ff }'

describe('a review', () => {
  it('begins the list at the end of a file that has none', () => {
    const text = '# shop\ntreaty: 1 # mark\nid: shop\n'

    expect(withReview(text, review)).toBe(`${text}reviews:\n  - ${line}\n`)
  })

  it('is added after the others, comments kept', () => {
    const text = 'reviews: # who\n  - { consumer: audit, by: b } # first\n# end\nid: x\n'

    expect(withReview(text, review)).toBe(
      `reviews: # who\n  - { consumer: audit, by: b } # first\n  - ${line}\n# end\nid: x\n`,
    )
  })

  it('takes the place of an earlier one by the same consumer', () => {
    const text =
      'reviews:\n  - consumer: billing\n    by: old\n  - { consumer: audit, by: b }\nid: x\n'

    expect(withReview(text, review)).toBe(
      `reviews:\n  - ${line}\n  - { consumer: audit, by: b }\nid: x\n`,
    )
  })

  it.each([
    ['reviews: []\nid: x\n', `reviews: [${line}]\nid: x\n`],
    ['reviews: [{ consumer: audit }]\n', `reviews: [{ consumer: audit }, ${line}]\n`],
    ['reviews:\nid: x\n', `reviews:\n  - ${line}\nid: x\n`],
    ['id: x', `id: x\nreviews:\n  - ${line}\n`],
  ])('fits into %j', (text, expected) => {
    expect(withReview(text, review)).toBe(expected)
    expect(parse(withReview(text, review)).reviews).toContainEqual(review)
  })

  it('quotes what YAML would read otherwise', () => {
    const made = withReview('id: x\n', { consumer: 'yes', by: 'a: b', at: '1.0', digest: '#' })

    expect(parse(made).reviews).toEqual([{ consumer: 'yes', by: 'a: b', at: '1.0', digest: '#' }])
  })
})

describe('since', () => {
  it('follows accepts, with its comment', () => {
    const text = 'consumers:\n  billing:\n    accepts: ^1.0.0 # range\n    events: {}\n'

    expect(withSince(text, 'billing', '1.2.0')).toBe(
      'consumers:\n  billing:\n    accepts: ^1.0.0 # range\n    since: 1.2.0\n    events: {}\n',
    )
  })

  it('follows accepts on one line', () => {
    const text = "consumers:\n  billing: { accepts: '>=2 <3', events: {} } # x\n"

    expect(withSince(text, 'billing', '2.0.0')).toBe(
      "consumers:\n  billing: { accepts: '>=2 <3', since: 2.0.0, events: {} } # x\n",
    )
  })

  it('leaves an entry that has one, and a file without the entry', () => {
    const text = 'consumers:\n  billing: { accepts: 1.x, since: 1.0.0 }\n'

    expect(withSince(text, 'billing', '1.2.0')).toBe(text)
    expect(withSince(text, 'audit', '1.2.0')).toBe(text)
  })
})
