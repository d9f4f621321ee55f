// What a user of the AI SDK does with three of its providers; prints one JSON document.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateObject, generateText, Output, stepCountIs, streamObject, streamText, tool } from "ai";
import { z } from "zod";
import * as ends from "./ends.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;
const [origin, apiKey] = process.argv.slice(2);
const at = { baseURL: `${origin}/v1`, apiKey };
const providers = {
  "@ai-sdk/openai": (model) => createOpenAI(at).chat(model),
  "@ai-sdk/anthropic": (model) => createAnthropic(at)(model),
  "@ai-sdk/openai-compatible": (model) =>
    createOpenAICompatible({ ...at, name: "fairlead", includeUsage: true, supportsStructuredOutputs: true })(model),
};
const schema = z.object({ guests: z.number().int(), name: z.string() });
const tools = {
  get_weather: tool({
    description: "The weather in a city.",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => `sunny in ${city}`,
  }),
};
const callsOf = (steps) => steps.map((step) => step.toolCalls.map((call) => call.toolName));
const silent = { maxRetries: 0, onError: () => {} };

async function breaks(of) {
  const messages = [];
  const hearing = { ...silent, onError: ({ error }) => messages.push(error.message) };
  async function* full(model) {
    for await (const part of streamText({ model: of(model), prompt: "hi", ...hearing }).fullStream)
      if (part.type === "text-delta") yield part.text;
  }
  async function* whole(model) {
    yield await streamText({ model: of(model), prompt: "hi", ...silent }).text;
  }
  async function* objects(model) {
    for await (const part of streamObject({ model: of(model), schema, prompt: "hi", ...silent }).partialObjectStream)
      yield JSON.stringify(part);
  }
  const broken = {
    "`streamText`, `textStream`": await ends.ofBroken((model) => streamText({ model: of(model), prompt: "hi", ...silent }).textStream),
    "`streamText`, `fullStream`": await ends.ofBroken(full),
    "`streamText`, `text`": await ends.ofBroken(whole),
    "`streamObject`, `partialObjectStream`": await ends.ofBroken(objects),
  };
  return { broken, messages };
}

async function tell(of) {
  const model = of("m");
  const whole = await generateText({ model, prompt: "hi" });
  const stream = streamText({ model, prompt: "hi" });
  let streamed = "";
  for await (const piece of stream.textStream) streamed += piece;
  const used = await generateText({ model, prompt: "use get_weather", tools, stopWhen: stepCountIs(3) });
  const using = streamText({ model, prompt: "use get_weather", tools, stopWhen: stepCountIs(3) });
  const { partialObjectStream, object: last } = streamObject({ model, schema, prompt: "a table" });
  const partial = [];
  for await (const part of partialObjectStream) partial.push(part);
  return {
    whole: whole.text,
    usage: whole.usage.totalTokens,
    streamed: { text: streamed, usage: (await stream.usage).totalTokens, reason: await stream.finishReason },
    calls: callsOf(used.steps),
    streamedCalls: callsOf(await using.steps),
    then: used.text,
    object: (await generateObject({ model, schema, prompt: "a table" })).object,
    output: (await generateText({ model, prompt: "a table", output: Output.object({ schema }) })).output,
    partial: { parts: partial.length, last: await last },
    unknown: await ends.ofCall(() => generateText({ model: of("unknown"), prompt: "hi" })),
    limited: await ends.ofCall(() => generateText({ model: of("limited"), prompt: "hi", maxRetries: 0 })),
    ...(await breaks(of)),
  };
}

const told = {};
for (const [name, of] of Object.entries(providers)) told[name] = await tell(of);
console.log(JSON.stringify(told));
