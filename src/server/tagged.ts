import { createHash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** JSON with a strong validator, so that who asks again gets 304 and no body. @see RFC 9110 section 13.1.2 */
export function sendTagged(
  request: FastifyRequest,
  reply: FastifyReply,
  { body, contentType = 'application/json; charset=utf-8' }: { body: string; contentType?: string },
): FastifyReply {
  const tag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 27)}"`
  reply.header('etag', tag).header('cache-control', 'no-cache').type(contentType)
  const known = (request.headers['if-none-match'] ?? '')
    .split(',')
    .map((part) => part.trim().replace(/^W\//, ''))
  return known.includes(tag) || known.includes('*') ? reply.code(304).send() : reply.send(body)
}
