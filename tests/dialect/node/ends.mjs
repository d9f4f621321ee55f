// How a call ended, as the scripts of this folder tell it: what came, and what was raised.

// The models whose provider breaks a stream off after three pieces: by closing, and by saying so.
const broken = ["cut", "told"];

// An error by its class and its status.
export function raised(error) {
  const name = error.name === "Error" ? error.constructor.name : error.name;
  return { raised: name, status: error.status ?? error.statusCode ?? null };
}

// The end of a call that gives one answer.
export async function ofCall(call) {
  try {
    await call();
  } catch (error) {
    return raised(error);
  }
  return { raised: null };
}

// The end of a stream of text, with the text before it.
export async function ofStream(open) {
  let text = "";
  try {
    for await (const piece of await open()) text += piece;
  } catch (error) {
    return { text, ...raised(error) };
  }
  return { text, raised: null };
}

// What a loop does whose body has work of its own.
export function busy() {
  return new Promise((resolve) => setTimeout(resolve, 10));
}

// The ends of streams that break off.
export async function ofBroken(read) {
  const told = {};
  for (const model of broken) told[model] = await ofStream(() => read(model));
  return told;
}
