import type { CatalogEntry } from './entry.ts'

/** Codes of the registry: versions, environments, deployments, registrations. */
export const registryCodes = {
  CONTRACT_VERSION_EXISTS: {
    exitCode: 5,
    status: 409,
    retryable: false,
    meaning:
      'The registry holds this version of the contract with other content. What was registered is never changed, because others rely on it.',
    fix: 'Raise the version of the contract and register that.',
    example: 'version: 2.3.0   # changed after 2.3.0 was registered',
  },
  CONTRACT_INCOMPATIBLE: {
    exitCode: 3,
    status: 409,
    retryable: false,
    meaning:
      'The new version breaks an earlier one of the same major version; each finding names the place and a message that proves it.',
    fix: 'Mend what the findings name, raise the major version, or have the break waived by those whom it hurts.',
    example: 'version: 2.4.0   # total.amount was an integer in 2.3.0 and is a string now',
  },
  EVENT_NOT_REGISTERED: {
    exitCode: 4,
    status: 404,
    retryable: false,
    meaning: 'No registered contract has an event or command of this name, version or $id.',
    fix: 'List them with GET /api/events.',
    example: 'curl http://127.0.0.1:4400/api/schemas/order.place',
  },
  ENVIRONMENT_NOT_FOUND: {
    exitCode: 4,
    status: 404,
    retryable: false,
    meaning: 'The registry knows no environment of this name.',
    fix: 'List them with GET /api/environments; a deployment into a new one creates it. can-i-deploy takes --new-environment before the first.',
  },
  DEPLOYMENT_NOT_FOUND: {
    exitCode: 4,
    status: 404,
    retryable: false,
    meaning: 'This version of the service is not recorded as running in the environment.',
    fix: 'List what runs where with GET /api/deployments.',
  },
  REVIEW_STALE: {
    exitCode: 5,
    status: 409,
    retryable: false,
    meaning:
      'The review names another content than the version has: the contract was changed after it was read.',
    fix: 'Read the version that is registered and review that.',
  },
  REGISTRY_BUSY: {
    exitCode: 6,
    status: 503,
    retryable: true,
    meaning: 'So many others changed the registry at the same time that this change found no gap.',
    fix: 'Try again.',
  },
  REGISTRY_TOO_NEW: {
    exitCode: 5,
    status: 409,
    retryable: false,
    meaning:
      'The registry was written by a newer Treaty, and holds changes that this one cannot read.',
    fix: 'Install the newer Treaty, or use another store.',
  },
  REGISTRY_UNAVAILABLE: {
    exitCode: 6,
    status: 502,
    retryable: true,
    meaning:
      'The registry at the URL could not be reached, or answered with something else than it should.',
    fix: 'Check the URL, and that the server there is up: its /health says so.',
    example: 'treaty contract push --to http://127.0.0.1:1',
  },
  SUBJECT_REFUSED: {
    exitCode: 5,
    status: 422,
    retryable: false,
    meaning:
      'The Confluent-compatible facade refused a call; `errorCode` in the details is the code that its clients know.',
    fix: 'Look the code up in the documentation of the Schema Registry API.',
  },
} as const satisfies Record<string, CatalogEntry>
