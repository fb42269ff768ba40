/** net/ipv4/tcp_minisocks.c: requests and TIME_WAIT stubs. */

export * from './tcp_minisocks/check_req.ts'
export * from './tcp_minisocks/openreq.ts'
export * from './tcp_minisocks/timewait.ts'
