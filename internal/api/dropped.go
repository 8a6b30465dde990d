package api

// DroppedAnnotation is on no object of the API server, where no key has a blank. It
// marks objects in the manager's cache, and says what was dropped from their
// metadata: see policy.Dropped.
const DroppedAnnotation = Prefix + "dropped here"
