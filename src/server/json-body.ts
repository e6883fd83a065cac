import type { FastifyInstance } from 'fastify'
import { decodeJson } from '../contracts/index.ts'
import { errorMessage, TreatyError } from '../core/errors.ts'

type Parser = Parameters<FastifyInstance['addContentTypeParser']>[2]

/**
 * Reads bodies that are JSON: UTF-8, at most 128 levels deep, so that what walks through them later needs no care, and
 * without the key `__proto__`. An empty body is none.
 */
export function jsonParser(app: FastifyInstance): Parser {
  const strict = app.getDefaultJsonParser('error', 'error')
  return (request, body, done) => {
    const bytes = body as Buffer
    if (bytes.length === 0) {
      done(null, undefined)
      return
    }
    try {
      decodeJson(bytes)
    } catch (error) {
      done(new TreatyError('REQUEST_INVALID', errorMessage(error)))
      return
    }
    void strict(request, bytes.toString('utf8'), done)
  }
}
