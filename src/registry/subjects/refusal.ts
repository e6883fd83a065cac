import { type ErrorCode, isTreatyError, TreatyError } from '../../core/errors.ts'

/** Error codes of the Confluent Schema Registry's HTTP protocol; the first three digits are the HTTP status. */
export const protocolCodes = {
  subjectNotFound: 40401,
  versionNotFound: 40402,
  schemaNotFound: 40403,
  subjectSoftDeleted: 40404,
  subjectNotSoftDeleted: 40405,
  versionSoftDeleted: 40406,
  versionNotSoftDeleted: 40407,
  configNotSet: 40408,
  modeNotSet: 40409,
  incompatible: 409,
  invalidSchema: 42201,
  invalidVersion: 42202,
  invalidLevel: 42203,
  invalidMode: 42204,
  notPermitted: 42205,
  referenced: 42206,
  idDiffers: 42207,
  invalidSubject: 42208,
} as const

export type ProtocolCode = (typeof protocolCodes)[keyof typeof protocolCodes]

const code: ErrorCode = 'SUBJECT_REFUSED'

/** The refusal of a call, with the protocol's own code. */
export function refusal(errorCode: ProtocolCode, message: string): TreatyError {
  return new TreatyError(code, message, { details: { errorCode } })
}

/** The protocol's code of an error; undefined when it is another error. */
export function protocolCode(error: unknown): ProtocolCode | undefined {
  if (!isTreatyError(error) || error.code !== code) return undefined
  return error.details.errorCode as ProtocolCode
}
