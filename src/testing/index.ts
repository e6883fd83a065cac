// The door `treatyjs/testing`. Nothing here imports a test runner when it is loaded.
export { seededRandom } from '../core/random.ts'
export type {
  DescribeTransportOptions,
  OpenTransport,
  TestFunction,
  TestRunner,
} from './conformance/describe-transport.ts'
export { describeTransport } from './conformance/describe-transport.ts'
export type {
  ChildTransport,
  ConnectOptions,
  Effort,
  TransportUnderTest,
} from './conformance/under-test.ts'
export type { ChildStore, DescribeStoreOptions, StoreUnderTest } from './describe-store.ts'
export { describeStore } from './describe-store.ts'
export type { DeepPartial, FakeOptions } from './fake.ts'
export { fake } from './fake.ts'
export type { FakeClock } from './fake-clock.ts'
export { fakeClock } from './fake-clock.ts'
export type { FaultProxy, FaultProxyOptions } from './fault-proxy.ts'
export { faultProxy } from './fault-proxy.ts'
export type { FaultCounts, FaultOptions } from './fault-transport.ts'
export { faultTransport } from './fault-transport.ts'
export type { BoundaryValue } from './generate/boundary.ts'
export { boundaryValues } from './generate/boundary.ts'
export type { GenerateOptions } from './generate/generate-value.ts'
export { generateValue } from './generate/generate-value.ts'
export type {
  HostileBehaviour,
  HostileExchange,
  HostileServer,
  HostileServerOptions,
  SeenRequest,
} from './hostile-server.ts'
export { hostile, hostileServer, rebindingResolver } from './hostile-server.ts'
export type { SettledOptions } from './settling.ts'
export type { TestBus, TestBusExtras, TestBusOptions } from './test-bus.ts'
export { createTestBus } from './test-bus.ts'
export type { HandlersByConsumer, VerifyOptions, VerifyReport } from './verify-handlers.ts'
export { verifyHandlers } from './verify-handlers.ts'
