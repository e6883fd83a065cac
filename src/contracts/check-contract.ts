import type { JsonObject } from '../core/json.ts'
import type { ReadContext } from './contract-reader.ts'
import type { ReadResult } from './read-contract.ts'

export function checkContract(_read: ReadResult, _value: JsonObject, _context: ReadContext): void {}
