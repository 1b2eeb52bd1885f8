// What another origin's page loads: Uppy and tus-js-client as one script for browsers.
export { default as Uppy } from "@uppy/core";
export { default as UppyTus } from "@uppy/tus";
export * as tus from "tus-js-client";
