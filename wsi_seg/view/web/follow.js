// Pages that follow what lies on the disk: they ask again and again, also after an answer that was an error.

const AFTER_ERROR = 4000; // ms

/**
 * Read after `wait` ms, and again after as many as `read` returns; null ends it. What is wrong is said until an
 * answer comes. `read` is told whether the answer before was an error.
 */
export async function follow(read, notices, wait = 0) {
  let fault = null;
  while (wait !== null) {
    await new Promise((then) => setTimeout(then, wait));
    try {
      wait = await read(fault !== null);
      if (fault !== null) notices.remove(fault);
      fault = null;
    } catch (error) {
      if (fault !== null && fault !== error.message) notices.remove(fault);
      fault = error.message;
      notices.add(fault, true);
      wait = AFTER_ERROR;
    }
  }
}
