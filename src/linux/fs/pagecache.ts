/** Contents of regular files: pages in the inode's `i_pages`, found by index. @see mm/filemap.c, fs/ramfs/file-mmu.c */

import { toVa, type Va } from '../../base/addr.ts'
import type { inode } from '../../btf/vmlinux.ts'
import { PAGE_SIZE } from '../../abi/page.ts'
import { xa_for_each, xa_load, xa_store } from '../../structures/xarray.ts'
import { deref } from '../deref.ts'
import type { Kernel } from '../kernel.ts'
import { xaNodes } from '../lib/xarray.ts'
import { alloc_pages, free_pages, page_address, page_to_pfn, pfn_to_page } from '../mm/page_alloc.ts'

const pagesVa = (inode: inode): Va => deref(inode.i_mapping).i_pages.$va

/** The address of a page's bytes; 0 when the file has a hole there. */
function pageOf(k: Kernel, inode: inode, index: number): Va {
  const entry = xa_load(k.types, k.mem, pagesVa(inode), index)
  return entry === 0n ? 0 : page_address(k, page_to_pfn(k, k.ref('page', entry)))
}

/** @see mm/filemap.c:filemap_add_folio */
function addPage(k: Kernel, inode: inode, index: number): Va {
  const pfn = alloc_pages(k)
  const page = pfn_to_page(k, pfn)
  const mapping = deref(inode.i_mapping)
  k.mem.setPointer(page.$vaOf('mapping'), mapping.$va)
  page.$set('index', BigInt(index))
  xa_store(k.types, k.mem, pagesVa(inode), index, page.$addr, xaNodes(k))
  mapping.nrpages = mapping.nrpages + 1n
  return page_address(k, pfn)
}

/** Parts of a range that lie in one page. */
function* parts(
  offset: number,
  size: number,
): Generator<{ index: number; at: number; done: number; n: number }> {
  for (let done = 0; done < size;) {
    const at = (offset + done) % PAGE_SIZE
    const n = Math.min(size - done, PAGE_SIZE - at)
    yield { index: Math.floor((offset + done) / PAGE_SIZE), at, done, n }
    done += n
  }
}

/**
 * The pages of a range, one call for each part.
 * @param make allocate what is not there; else a hole is the zero page
 */
export function eachPage(
  k: Kernel,
  inode: inode,
  offset: number,
  size: number,
  make: boolean,
  part: (va: Va, n: number) => boolean,
): void {
  for (const { index, at, n } of parts(offset, size)) {
    let page = pageOf(k, inode, index)
    if (page === 0) page = make ? addPage(k, inode, index) : toVa(k.sym('empty_zero_page'), k.mem.wordSize)
    if (!part(page + at, n)) return
  }
}

/** Bytes of a file; shorter at its end. */
export function readFileBytes(k: Kernel, inode: inode, offset: number, size: number): Uint8Array {
  const length = Math.max(0, Math.min(size, Number(inode.i_size) - offset))
  const bytes = new Uint8Array(length)
  for (const { index, at, done, n } of parts(offset, length)) {
    const page = pageOf(k, inode, index)
    if (page !== 0) bytes.set(k.mem.read(page + at, n), done)
  }
  return bytes
}

/** Store into a file, which grows. */
export function writeFileBytes(k: Kernel, inode: inode, offset: number, bytes: Uint8Array): void {
  for (const { index, at, done, n } of parts(offset, bytes.length)) {
    let page = pageOf(k, inode, index)
    if (page === 0) page = addPage(k, inode, index)
    k.mem.write(page + at, bytes.subarray(done, done + n))
  }
  const end = BigInt(offset + bytes.length)
  if (end > inode.i_size) inode.i_size = end
}

/** Cut a file to nothing. @see mm/truncate.c:truncate_pagecache */
export function truncate_pages(k: Kernel, inode: inode): void {
  const all = [...xa_for_each(k.types, k.mem, pagesVa(inode))]
  for (const { index, entry } of all) {
    xa_store(k.types, k.mem, pagesVa(inode), index, 0n, xaNodes(k))
    const page = k.ref('page', toVa(entry, k.mem.wordSize))
    k.mem.setPointer(page.$vaOf('mapping'), 0)
    free_pages(k, page_to_pfn(k, page), 0)
  }
  const mapping = deref(inode.i_mapping)
  mapping.nrpages = 0n
  inode.i_size = 0n
}
