package runs

// Said has the container that was added last leave this termination message.
func (b *PodBuilder) Said(message string) *PodBuilder {
	statuses := b.pod.Pod.Status.ContainerStatuses
	statuses[len(statuses)-1].State.Terminated.Message = message
	return b
}

// ImageID has the container that was added last run this image.
func (b *PodBuilder) ImageID(id string) *PodBuilder {
	statuses := b.pod.Pod.Status.ContainerStatuses
	statuses[len(statuses)-1].ImageID = id
	return b
}
